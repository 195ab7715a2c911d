# mypy: ignore-errors
from microdot import Microdot, Request

app = Microdot()
Request.max_content_length = 1024 * 1024  # 1 MB
received = {}


@app.get('/')
async def index(request):
    return 'Send a file.'


@app.post('/upload')
async def upload(request):
    # Content-Disposition: form-data; name="file"; filename="name.ext"
    filename = request.headers['Content-Disposition'].split('filename=')[1].strip('"')
    size = int(request.headers['Content-Length'])
    filename = filename.replace('/', '_')
    data = b''
    while size > 0:
        chunk = await request.stream.read(min(size, 1024))
        data += chunk
        size -= len(chunk)
    received[filename] = data
    return ''


if __name__ == '__main__':
    app.run(debug=True)
