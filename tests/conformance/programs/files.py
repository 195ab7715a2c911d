# mypy: ignore-errors
from microdot import Microdot, send_file

app = Microdot()


@app.route('/')
async def index(request):
    return send_file('static/pins.html')


@app.route('/static/<path:path>')
async def static(request, path):
    if '..' in path:
        # no way out of the directory
        return 'Not found', 404
    return send_file('static/' + path, max_age=86400)


@app.route('/gzip/<path:path>')
async def gzip(request, path):
    if '..' in path:
        return 'Not found', 404
    return send_file('static/' + path, compressed=True, file_extension='.gz')


if __name__ == '__main__':
    app.run(debug=True)
