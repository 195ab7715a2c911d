# mypy: ignore-errors
from microdot import Microdot

app = Microdot()

html = '''<!DOCTYPE html>
<html>
    <head>
        <title>Hello</title>
        <meta charset="UTF-8">
    </head>
    <body>
        <h1>It works on a board</h1>
        <p><a href="/shutdown">Stop it</a></p>
    </body>
</html>
'''


@app.route('/')
async def hello(request):
    return html, 200, {'Content-Type': 'text/html'}


@app.route('/shutdown')
async def shutdown(request):
    request.app.shutdown()
    return 'The server is going down.'


if __name__ == '__main__':
    app.run(debug=True)
