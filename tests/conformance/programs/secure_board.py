# mypy: ignore-errors
import tls

from microdot import Microdot

app = Microdot()


@app.route('/')
async def hello(request):
    return request.scheme


if __name__ == '__main__':
    sslctx = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    with open('cert.der', 'rb') as cert, open('key.der', 'rb') as key:
        sslctx.load_cert_chain(cert.read(), key.read())
    app.run(port=4443, debug=True, ssl=sslctx)
