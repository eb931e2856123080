"""The openai package's requests over aiohttp, which takes two thirds of the processor time that its own transport takes.

Measured: 1,000 calls at 64 at once cost 1.1 s of processor time over httpcore and 0.73 s so. It matters where answers come quickly.
"""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2


class Transport(httpx2.AsyncBaseTransport):
    """Connections to one host, by the proxy that the environment names for it, without a limit of their own: whoever asks keeps one."""

    def __init__(self, base_url: str) -> None:
        url = urlsplit(base_url)
        # Looked up once: aiohttp's trust_env does it for each request, in a thread.
        self.proxy = None if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=httpx2.create_ssl_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # httpx2 does
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The whole response. Failures are httpx2's, so that the openai package knows them."""
        seconds = request.extensions.get("timeout", {})
        try:
            async with self.session.request(
                request.method,
                str(request.url),
                headers=[(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers.raw],
                data=await request.aread(),
                allow_redirects=False,
                proxy=self.proxy,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=seconds.get("connect"), sock_read=seconds.get("read")
                ),
            ) as reply:
                return httpx2.Response(reply.status, headers=list(reply.raw_headers), content=await reply.read())
        except aiohttp.ConnectionTimeoutError as error:
            raise httpx2.ConnectTimeout(str(error), request=request) from error
        except TimeoutError as error:
            raise httpx2.ReadTimeout(str(error), request=request) from error
        except aiohttp.ClientConnectorError as error:
            raise httpx2.ConnectError(str(error), request=request) from error
        except (aiohttp.ClientError, OSError) as error:
            raise httpx2.ReadError(str(error), request=request) from error

    async def aclose(self) -> None:
        await self.session.close()
