"""The Streamlit app. `main.py` is the script; the pages beside it are run by it, the other modules draw.

No module here may be called `encoders`, `indexer`, `search` or `app`: Streamlit puts this folder first on `sys.path`.
"""
