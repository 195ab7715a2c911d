# mypy: ignore-errors
from microdot import Microdot, Request, abort

app = Microdot()
notes = {}


def authenticated(f):
    async def wrapper(request, *args, **kwargs):
        if request.headers.get('Authorization') != 'secret':
            abort(401, 'Not for you')
        return await f(request, *args, **kwargs)

    return wrapper


@app.put('/notes/<name>')
@authenticated
async def put_note(request, name):
    if not request.json:
        abort(400)
    notes[name] = request.json
    return None, 201


@app.get('/notes/<name>')
async def get_note(request, name):
    if name not in notes:
        abort(404)
    return notes[name]


@app.delete('/notes/<name>')
@authenticated
async def delete_note(request, name):
    del notes[name]


@app.errorhandler(KeyError)
async def missing(request, exc):
    return 'missing', 404


@app.errorhandler(413)
async def too_long(request):
    return {'limit': Request.max_content_length}, 413


@app.after_error_request
async def mark(request, response):
    response.headers['X-Error'] = request.path if request else '?'


@app.get('/search')
async def search(request):
    def rows():
        for name in sorted(notes):
            if request.args.get('q', '') in name:
                yield name + '\n'

    return rows()


if __name__ == '__main__':
    app.run(debug=True)
