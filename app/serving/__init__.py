"""What `streamlit run` starts; a folder of its own, since Streamlit puts it first on the path."""
