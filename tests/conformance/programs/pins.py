# mypy: ignore-errors
from microdot import Microdot, redirect, send_file

app = Microdot()
levels = {}


@app.route('/', methods=['GET', 'POST'])
def index(request):
    form_cookie = None
    message_cookie = None
    if request.method == 'POST':
        form_cookie = '{pin},{pull}'.format(pin=request.form['pin'], pull=request.form['pull'])
        if 'read' in request.form:
            message_cookie = 'Pin {} is {}'.format(request.form['pin'], levels.get(request.form['pin'], 'low'))
        else:
            levels[request.form['pin']] = 'high' if 'set-high' in request.form else 'low'
            message_cookie = 'Pin {} was set'.format(request.form['pin'])
        response = redirect('/')
    else:
        if 'message' not in request.cookies:
            message_cookie = 'Choose a pin'
        response = send_file('static/pins.html')
    if form_cookie:
        response.set_cookie('form', form_cookie)
    if message_cookie:
        response.set_cookie('message', message_cookie)
    return response


if __name__ == '__main__':
    app.run(debug=True)
