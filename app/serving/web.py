"""What `streamlit run` starts: the screens and the routes of `app.routes` as one application on one port."""

from pathlib import Path

from streamlit.starlette import App

from app.routes import routes
from app.serving.arenas import share_heaps
from app.serving.connections import send_at_once

share_heaps()
send_at_once()
streamlit_app = App(Path(__file__).parents[1] / "screens" / "main.py", routes=routes())
