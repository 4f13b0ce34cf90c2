"""The HTTP interface: the verbs of the command line for programs, read-only and bounded.

`application.create_api` makes it, `serving.serve_api` runs it alone; mounted, it shares the port of the screens.
"""
