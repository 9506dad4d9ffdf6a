"""Sets and deletes the wizard's cookies, which all have the same flags."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True)
class CookieWriter:
    """Writes cookies that no script can read, and that browsers send only to pages of this site.

    Attributes:
        path: Browsers send the cookies only to pages under this path.
        https: Whether users reach the server over HTTPS; None if the server does not know its public URL and must rely
            on the scheme of each request.
    """

    path: str
    https: bool | None

    def is_https(self, request: Request) -> bool:
        """Return whether the user reaches the server over HTTPS."""
        return request.url.scheme == "https" if self.https is None else self.https

    def set(self, request: Request, response: Response, name: str, value: str, max_age: int) -> None:
        """Set a cookie.

        Args:
            request: The request.
            response: The response.
            name: The cookie's name.
            value: The cookie's value.
            max_age: The cookie's lifetime in seconds.
        """
        response.set_cookie(
            name, value, max_age=max_age, path=self.path, secure=self.is_https(request), httponly=True, samesite="lax"
        )

    def delete(self, request: Request, response: Response, name: str) -> None:
        """Delete a cookie."""
        response.delete_cookie(name, path=self.path, secure=self.is_https(request), httponly=True, samesite="lax")
