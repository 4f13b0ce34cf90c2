"""Components of the screens: those that stand in this project, no others."""

from streamlit.components.v2 import manifest_scanner


def own_components_alone() -> None:
    """Let Streamlit look for no components in other packages.

    It reads the metadata of everything that is installed before it listens, which takes a fifth of a second, and would
    serve the files of what it finds. The screens define theirs themselves. There is no setting for it.
    """
    manifest_scanner.scan_component_manifests = lambda *_, **__: []
