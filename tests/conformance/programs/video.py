# mypy: ignore-errors
import asyncio

from microdot import Microdot

app = Microdot()
frames = [b'frame1', b'frame2', b'frame3']
closed = []


@app.route('/')
async def index(request):
    return '<img src="/video_feed">', {'Content-Type': 'text/html'}


@app.route('/video_feed')
async def video_feed(request):
    class VideoStream:
        def __init__(self):
            self.i = 0

        def __aiter__(self):
            return self

        async def __anext__(self):
            await asyncio.sleep(0.01)
            self.i += 1
            return b'Content-Type: image/jpeg\r\n\r\n' + frames[self.i % len(frames)] + b'\r\n--frame\r\n'

        async def aclose(self):
            closed.append(self.i)

    return VideoStream(), 200, {'Content-Type': 'multipart/x-mixed-replace; boundary=frame'}


if __name__ == '__main__':
    app.run(debug=True)
