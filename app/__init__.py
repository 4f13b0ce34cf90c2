"""What shows the answers of `search`: the command line, figures and tables, and the Streamlit app."""
