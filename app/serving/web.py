"""What `streamlit run` starts: the screens and the routes of `app.routes` as one application on one port."""

from pathlib import Path

from streamlit.starlette import App

from app.routes import routes
from app.serving.arenas import share_heaps
from app.serving.connections import send_at_once
from app.serving.warming import warm_up

share_heaps()
send_at_once()
warm_up()
streamlit_app = App(Path(__file__).parents[1] / "screens" / "main.py", routes=routes())
