# mypy: ignore-errors
import asyncio

from microdot import Microdot

app = Microdot()
frames = [b'frame1', b'frame2', b'frame3']
closed = []


@app.route('/video_feed')
async def video_feed(request):
    async def stream():
        yield b'--frame\r\n'
        i = 0
        try:
            while True:
                yield b'Content-Type: image/jpeg\r\n\r\n' + frames[i % len(frames)] + b'\r\n--frame\r\n'
                i += 1
                await asyncio.sleep(0.01)
        except GeneratorExit:
            closed.append(i)
            raise

    return stream(), 200, {'Content-Type': 'multipart/x-mixed-replace; boundary=frame'}


if __name__ == '__main__':
    app.run(debug=True)
