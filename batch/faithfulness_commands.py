"""The command `faithfulness`."""

import click

from whyport.batch.review.document import format_option, tell
from whyport.runtime.paths import PlacePath, endpoint_option
from whyport.runtime.providers import DEVICES
from whyport.runtime.store.path import Place


@click.command()
@click.argument("run", type=PlacePath(), metavar="DIR")
@click.option("--sample", type=click.IntRange(min=1), default=50, show_default=True, help="Explained rows to look at.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The seed of all draws.")
@click.option("--bundle", type=PlacePath(), help="The bundle's path, if it was moved since the run.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
@format_option()
@endpoint_option()
def faithfulness(run: Place, sample: int, seed: int, bundle: Place | None, device: str, format: str) -> None:
    """Measure on a sample whether the explanations of the finished run in DIR are themselves sound.

    Deletion and insertion curves against random orders, infidelity, stability, sensitivity to the baseline, agreement
    between the run's methods, and the check with shuffled weights. It needs the bundle and the inputs. What cannot be
    done for a method is named.

    \b
    Example: whyport faithfulness scored --sample 100 --format markdown
    """
    from whyport.batch.faithfulness.document import soundness_document
    from whyport.batch.faithfulness.faithfulness import measure_soundness

    found = measure_soundness(run, sample=sample, seed=seed, bundle=bundle, device=device)
    tell(soundness_document(found), format)
