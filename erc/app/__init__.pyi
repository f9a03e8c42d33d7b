from .commands import app as app
from .limits import Limits as Limits, UploadError as UploadError
from .page import build_page as build_page
from .server import serve as serve
