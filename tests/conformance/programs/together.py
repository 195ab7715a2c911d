# mypy: ignore-errors
import asyncio

from microdot import Microdot

app = Microdot()
port = 8000
blinks = []


@app.get('/')
async def index(request):
    return str(len(blinks) > 0)


@app.get('/stop')
def stop(request):
    request.app.shutdown()
    return 'stopping'


async def blink():
    for i in range(3):
        blinks.append(i)
        await asyncio.sleep(0.01)


async def main():
    await asyncio.gather(app.start_server(host='127.0.0.1', port=port), blink())


if __name__ == '__main__':
    asyncio.run(main())
