"""Start the page: `python app.py`. It opens at once; the model is fitted in view."""

import argparse
import signal
import sys


def main() -> None:
    """Read the options and serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME, else this machine only)")
    parser.add_argument("--port", type=int, help="default: GRADIO_SERVER_PORT, else 7860 or the next free one")
    parser.add_argument("--workspace", help="folder for fitted states (default: the user's cache)")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--preset", default="fast", help="fast or paper")
    args = parser.parse_args()

    from demo.build import build_demo, launch_options
    from demo.engine import open_lab

    lab = open_lab(args.dataset, args.preset, args.workspace)
    lab.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that worker processes end with the app
    try:
        build_demo(lab).queue(max_size=200).launch(server_name=args.host, server_port=args.port, **launch_options())
    finally:
        lab.close()


if __name__ == "__main__":
    main()
