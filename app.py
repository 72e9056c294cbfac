"""Start the page: `python app.py`. It opens at once; the model is fitted in view."""

import argparse
import signal
import sys

DATASETS, PRESETS = ["digits"], ["fast", "paper"]  # on offer when nothing is asked for


def options() -> argparse.ArgumentParser:
    """Return what the command line takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME, else this machine only)")
    parser.add_argument("--port", type=int, help="default: GRADIO_SERVER_PORT, else 7860 or the next free one")
    parser.add_argument("--workspace", metavar="DIR", help="show and change the model kept in this folder; made at the first start")
    parser.add_argument("--cache", metavar="DIR", help="without --workspace: folder for fitted states (default: the user's cache)")
    parser.add_argument("--dataset", type=_names, help="data sets on offer, with commas; the first is at home (digits, or the workspace's)")
    parser.add_argument("--preset", type=_names, help="presets on offer, with commas (fast,paper; the workspace's, or fast)")
    parser.add_argument("--data-dir", help="folder of local data sets (default: LMERASER_DATA, else ../shared/data)")
    return parser


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def main() -> None:
    """Read the options and serve until stopped."""
    parser = options()
    args = parser.parse_args()

    from core.errors import LMEraserError
    from demo.build import build_demo, launch_options
    from demo.engine import open_labs, open_workspace

    try:
        if args.workspace:
            labs = [open_workspace(args.workspace, args.dataset or [], args.preset or [], args.data_dir)]
        else:
            datasets = DATASETS if args.dataset is None else args.dataset
            presets = PRESETS if args.preset is None else args.preset
            labs = open_labs(datasets, presets, args.cache, args.data_dir)
        page = build_demo(*labs)
    except LMEraserError as error:
        parser.error(str(error))
    labs[0].start()  # the others start when they are visited
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that worker processes end with the app
    try:
        page.queue(max_size=200).launch(server_name=args.host, server_port=args.port, **launch_options())
    finally:
        for lab in labs:
            lab.close()


if __name__ == "__main__":
    main()
