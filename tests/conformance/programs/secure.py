# mypy: ignore-errors
import ssl

from microdot import Microdot

app = Microdot()


@app.route('/')
async def hello(request):
    return request.scheme


if __name__ == '__main__':
    sslctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    sslctx.load_cert_chain('cert.pem', 'key.pem')
    app.run(port=4443, debug=True, ssl=sslctx)
