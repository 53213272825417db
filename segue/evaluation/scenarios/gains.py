"""Methods beside one of them: by how much each is better, of the same guesses, with intervals over listeners."""

from collections.abc import Mapping

from segue.evaluation.like_stream import Bootstrap, Doubles
from segue.evaluation.scenarios.scenario import Report, Sheet


def add_gains(
    report: Report,
    title: str,
    measure: str,
    values: Mapping[str, Doubles],
    bootstrap: Bootstrap,
    costs_us: Mapping[str, float],
) -> None:
    """A sheet and its figures: `…_MEASURE` with its interval, `…_gain` over the first method, and `…_us` where it is known.

    values : by method, what each guess counts, float64[n]; costs_us : by method, what a play costs it
    """
    base = next(iter(values))
    sheet = Sheet(f"{title}, beside {base}", ("", measure, "gain", "95% interval", "us a play"))
    for name, each in values.items():
        key, mean, (low, high) = name.replace("-", "_"), float(each.mean()), bootstrap.interval(each)
        report.figures |= {f"{key}_{measure}": mean, f"{key}_{measure}_low": low, f"{key}_{measure}_high": high}
        row = [name, f"{mean:.4f}", "", "", ""]
        if name != base:
            gain, (low, high) = mean - float(values[base].mean()), bootstrap.interval(each - values[base])
            report.figures |= {f"{key}_gain": gain, f"{key}_gain_low": low, f"{key}_gain_high": high}
            row[2:4] = [f"{gain:+.4f}", f"{low:+.4f} to {high:+.4f}"]
        if name in costs_us:
            report.figures[f"{key}_us"] = costs_us[name]
            row[4] = f"{costs_us[name]:.1f}"
        sheet.rows.append(tuple(row))
    report.sheets.append(sheet)
