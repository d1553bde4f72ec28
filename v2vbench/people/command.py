"""The command `v2vbench study`: its arguments to the functions that do the work."""

from argparse import Namespace

from v2vbench.params import Fault, load, root


def run(args: Namespace) -> None:
    """Do the part that the arguments name and print what it says; `power` needs no project. Raises Fault."""
    if args.part == "power":
        _power(args)
        return
    folder = root()
    if args.part == "make":
        from v2vbench.people.make import make
        from v2vbench.people.records import Rules

        rules = Rules(
            failed_catches=args.failed_catches,
            hurried_ms=args.hurried_ms,
            one_side=args.one_side,
            answered=args.answered,
        )
        print(
            make(
                load(folder / "params.yaml"),
                folder,
                dataset=args.dataset,
                group=args.group,
                runs=args.runs,
                question=args.question,
                n_raters=args.raters,
                n_trials=args.trials,
                seed=args.seed,
                out=args.out,
                consent=args.consent,
                post=args.post,
                simulated=args.simulated,
                rules=rules,
                force=args.force,
            )
        )
    elif args.part == "read":
        from v2vbench.people.read import NothingRead, read

        try:
            print(read(args.files, folder, args.dry))
        except NothingRead as fault:
            print(fault.table)
            raise
    elif args.part == "learn":
        from v2vbench.people.learn import learn

        params = load(folder / "params.yaml")
        print(learn(args.name, args.source, params, folder, subsets=args.subset, limit=args.limit))


def _power(args: Namespace) -> None:
    from v2vbench.people.power import Setting, plan
    from v2vbench.people.power_table import plot, words

    if args.plot and not args.plot.absolute().parent.is_dir():
        raise Fault(f"--plot {args.plot}: is in a folder that is not there")
    names = "share power trials clips pairs rater_effect clip_effect lapse tie studies confidence seed".split()
    result = plan(Setting(**{name: getattr(args, name) for name in names}), args.raters)
    print(words(result))
    if args.plot:
        plot(result, args.plot)
        print(f"The plot: {args.plot}")
