"""Start the page: `python app.py`. It opens at once; the model is fitted in view."""

import argparse
import signal
import sys


def main() -> None:
    """Read the options and serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME, else this machine only)")
    parser.add_argument("--port", type=int, help="default: GRADIO_SERVER_PORT, else 7860 or the next free one")
    parser.add_argument("--workspace", metavar="DIR", help="show and change the model kept in this folder; made at the first start")
    parser.add_argument("--cache", metavar="DIR", help="without --workspace: folder for fitted states (default: the user's cache)")
    parser.add_argument("--dataset", help="default: digits, or what the workspace holds")
    parser.add_argument("--preset", help="fast or paper (default: fast, or the workspace's)")
    args = parser.parse_args()

    from core.errors import LMEraserError
    from demo.build import build_demo, launch_options
    from demo.engine import open_lab, open_workspace

    try:
        if args.workspace:
            lab = open_workspace(args.workspace, args.dataset, args.preset)
        else:
            lab = open_lab(args.dataset or "digits", args.preset or "fast", args.cache)
    except LMEraserError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    lab.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that worker processes end with the app
    try:
        build_demo(lab).queue(max_size=200).launch(server_name=args.host, server_port=args.port, **launch_options())
    finally:
        lab.close()


if __name__ == "__main__":
    main()
