# mypy: ignore-errors
from microdot import Microdot, Response

Response.default_content_type = 'text/html'

users = Microdot()


@users.get('')
async def list_users(request):
    return '<a href="{}/1">one</a>'.format(request.url_prefix)


@users.get('/<int:id>')
async def show_user(request, id):
    return '<a href="{}">user {}</a>'.format(request.url_prefix, id)


@users.errorhandler(404)
async def no_user(request):
    return 'no such user', 404


def create_app():
    app = Microdot()

    @app.before_request
    def start_timer(request):
        request.g.start_time = 100

    @app.after_request
    def end_timer(request, response):
        response.headers['X-Time'] = str(request.g.start_time)

    @app.get('/')
    @app.post('/')
    def index(request):
        return '<h1>' + request.method + '</h1>'

    @app.route('/api/data')
    def data(request):
        return {'values': [1, 2, 3]}, 200

    @app.errorhandler(ZeroDivisionError)
    def division_by_zero(request, exception):
        return {'error': 'division by zero'}, 500

    @app.get('/divide/<int:by>')
    def divide(request, by):
        return str(10 // by)

    app.mount(users, url_prefix='/users')
    return app


app = create_app()

if __name__ == '__main__':
    app.run(debug=True)
