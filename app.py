"""Start the page: `python app.py`. It opens at once; the model is fitted in view."""

import argparse
import signal
import sys
import threading

from core.cli.options import add_import_options, import_options

DATASETS, PRESETS = ["digits"], ["fast", "instant", "paper"]  # shown when nothing is asked for


def options() -> argparse.ArgumentParser:
    """Return what the command line takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME, else this machine only)")
    parser.add_argument("--port", type=int, help="default: GRADIO_SERVER_PORT, else 7860 or the next free one")
    parser.add_argument("--workspace", metavar="DIR", help="show and change the model kept in this folder; made at the first start")
    parser.add_argument("--repair", action="store_true", help="with --workspace: put the workspace right from the samples it holds")
    parser.add_argument("--cache", metavar="DIR", help="without --workspace: folder for fitted states (default: the user's cache)")
    parser.add_argument("--dataset", type=_names, help="data sets to show, with commas; the first is at home (digits, or the workspace's)")
    parser.add_argument("--preset", type=_names, help="presets to show, with commas (fast,instant,paper; the workspace's, or fast)")
    parser.add_argument("--no-own-images", action="store_true", help="visitors cannot bring images of their own")
    add_import_options(parser)
    parser.add_argument("--data-dir", help="folder of local data sets (default: LMERASER_DATA, else ../shared/data)")
    return parser


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def opened(args: argparse.Namespace) -> list:
    """Return the labs that the options name; raises LMEraserError."""
    from core.backbone.model import input_size
    from demo.launch import open_labs, open_workspace

    read = import_options(args, input_size("embedded"))
    if args.workspace:
        return [open_workspace(args.workspace, args.dataset or [], args.preset or [], args.data_dir, args.repair, read)]
    datasets = DATASETS if args.dataset is None else args.dataset
    presets = PRESETS if args.preset is None else args.preset
    return open_labs(datasets, presets, args.cache, args.data_dir, read)


def told(lab, fit: threading.Thread) -> None:
    """Print why the first model could not be made, if it could not: its page says so as well."""
    fit.join()
    if lab.fit.state == "failed":
        print(f"error: {lab.fit.error}", file=sys.stderr)


def main() -> None:
    """Read the options and serve until stopped."""
    parser = options()
    args = parser.parse_args()
    if args.repair and not args.workspace:
        parser.error("--repair puts a workspace right. Name its folder with --workspace.")

    from core.errors import LMEraserError, RepairNeeded
    from demo import texts
    from demo.build import build_demo, launch_options
    from demo.own.site import PATH, OwnImages
    from demo.session.jobs import Jobs

    jobs = Jobs()
    try:
        labs = opened(args)
        page = build_demo(*labs, jobs=jobs, own="" if args.workspace or args.no_own_images else PATH)
    except RepairNeeded as error:
        parser.error(f"{error} {texts.REPAIR}")
    except LMEraserError as error:
        parser.error(str(error))
    fit = labs[0].start()  # the others start when they are visited
    threading.Thread(target=told, args=(labs[0], fit), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that worker processes end with the app
    own = OwnImages(jobs, labs[0], data_dir=args.data_dir)
    try:
        try:
            launched = page.queue(max_size=200).launch(
                server_name=args.host, server_port=args.port, prevent_thread_lock=True, enable_monitoring=False, **launch_options()
            )
        except OSError as error:
            parser.error(texts.NO_PORT.format(args.port or "7860 or the next hundred", error))
        if not args.workspace and not args.no_own_images:
            own.attach(launched[0])
        page.block_thread()
    finally:
        own.close()
        for lab in labs:
            lab.close()


if __name__ == "__main__":
    main()
