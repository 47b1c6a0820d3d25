"""Wildlife strikes on aircraft in the USA, 1990-2002: when they happen, and when they hurt.

Runs inside the sandbox. Reads birdstrikes.csv or birdstrikes.xlsx from /mnt/data, cleans it, and
leaves a chart and a workbook there.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import PercentFormatter

DATA = Path("/mnt/data")
INK, MUTED, QUIET, LOUD, ALERT = "#1f2933", "#616e7c", "#c9d3dc", "#2f6690", "#d1603d"


def read() -> pd.DataFrame:
    source = next(path for path in sorted(DATA.glob("*birdstrikes.*")) if path.suffix in {".csv", ".xlsx"})
    return pd.read_csv(source) if source.suffix == ".csv" else pd.read_excel(source)


def tidy(names: pd.Series) -> pd.Series:
    """'US AIRWAYS*' -> 'US Airways', 'DALLAS/FORT WORTH INTL ARPT' -> 'Dallas/Fort Worth Intl'."""
    plain = names.str.replace(r"\bARPT\b|\*", "", regex=True).str.split().str.join(" ").str.title()
    return plain.str.replace(r"^Us\b", "US", regex=True).str.replace(r"'([A-Z])\b", lambda m: m[0].lower(), regex=True)


def clean(raw: pd.DataFrame) -> pd.DataFrame:
    strikes = raw.drop_duplicates()
    damage = strikes["Effect Amount of damage"].fillna("None")  # pandas reads the word None as missing
    return pd.DataFrame(
        {
            "date": pd.to_datetime(strikes["Flight Date"]),
            "airport": tidy(strikes["Airport Name"]),
            "airline": tidy(strikes["Aircraft Airline Operator"]),
            "size": strikes["Wildlife Size"],
            # 'B' and 'C' are codes of an older form: what was damaged is not known.
            "damaged": damage.map({"None": 0.0, "Minor": 1.0, "Medium": 1.0, "Substantial": 1.0}),
            "cost": pd.to_numeric(strikes["Cost Total $"]),
        }
    )


def summary(groups) -> pd.DataFrame:
    table = groups.agg(
        strikes=("date", "size"), damaging=("damaged", "sum"), damage_share=("damaged", "mean"), cost=("cost", "sum")
    )
    return table.astype({"damaging": int}).assign(cost_per_strike=table["cost"] / table["strikes"])


def style(axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=10)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.tick_params(length=0, colors=MUTED, labelsize=9)


def draw(months: pd.DataFrame, sizes: pd.DataFrame, total: int, airports: int) -> None:
    figure = plt.figure(figsize=(11, 6.4), facecolor="white")
    grid = figure.add_gridspec(2, 2, width_ratios=[1.55, 1], top=0.80, bottom=0.13, left=0.06, right=0.97, wspace=0.2, hspace=0.5)
    when, harm, who = (figure.add_subplot(place) for place in (grid[0, 0], grid[1, 0], grid[:, 1]))

    busy, costly = months["strikes"].nlargest(3).index, months["damage_share"].nlargest(5).index
    bars = when.bar(months.index, months["strikes"], color=[LOUD if m in busy else QUIET for m in months.index])
    when.bar_label(bars, [f"{count:,}" for count in months["strikes"]], padding=2, fontsize=8.5, color=MUTED)
    when.margins(y=0.12)
    when.set_yticks([])
    style(when, "Strikes reported")

    bars = harm.bar(months.index, months["damage_share"], color=[ALERT if m in costly else QUIET for m in months.index])
    harm.bar_label(bars, [f"{share:.0%}" for share in months["damage_share"]], padding=2, fontsize=8.5, color=MUTED)
    harm.margins(y=0.12)
    harm.set_yticks([])
    style(harm, "Share of strikes that damaged the aircraft")

    bars = who.barh(sizes.index, sizes["damage_share"], height=0.55, color=[QUIET, QUIET, ALERT])
    labels = [f" {row.damage_share:.0%}   ${row.cost_per_strike:,.0f} a strike" for row in sizes.itertuples()]
    who.bar_label(bars, labels, padding=3, fontsize=9.5, color=INK)
    who.set_xlim(0, 0.9)
    who.set_xticks([0, 0.2, 0.4])
    who.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    style(who, "Damage share and cost by animal size")

    figure.text(0.06, 0.935, "Wildlife strikes peak in autumn; those in winter do more damage", fontsize=17, fontweight="bold", color=INK)
    figure.text(0.06, 0.885, f"{total:,} strikes reported at {airports} airports in the USA, 1990–2002", fontsize=11, color=MUTED)
    figure.text(0.06, 0.03, "Source: FAA Wildlife Strike Database (sample of 10,000 reports)", fontsize=8.5, color=MUTED)
    figure.savefig(DATA / "wildlife-strikes.png", dpi=150, pad_inches=0.35)
    plt.close(figure)


def write_workbook(sheets: dict[str, pd.DataFrame]) -> None:
    with pd.ExcelWriter(DATA / "wildlife-strikes.xlsx", engine="xlsxwriter") as book:
        head = book.book.add_format({"bold": True, "bottom": 1})
        share, money = (book.book.add_format({"num_format": code}) for code in ("0.0%", "$#,##0"))
        for name, table in sheets.items():
            table.to_excel(book, sheet_name=name)
            sheet = book.sheets[name]
            sheet.set_column(0, 0, 34 if name == "By airport" else 12)
            sheet.set_column(1, 2, 11)
            sheet.set_column(3, 3, 14, share)
            sheet.set_column(4, 5, 16, money)
            sheet.freeze_panes(1, 1)
            for column, title in enumerate([table.index.name, *table.columns]):
                sheet.write(0, column, title.replace("_", " ").capitalize(), head)


raw = read()
strikes = clean(raw)
months = summary(strikes.groupby(strikes["date"].dt.month))
months.index = pd.Index(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], name="month")
airports = summary(strikes.groupby("airport")).sort_values("strikes", ascending=False)
sizes = summary(strikes.groupby("size")).loc[["Small", "Medium", "Large"]]

draw(months, sizes, len(strikes), len(airports))
write_workbook({"By month": months, "By airport": airports})

print(f"{len(raw):,} rows read, {len(raw) - len(strikes)} duplicates dropped")
print(f"{strikes['damaged'].sum():,.0f} strikes did damage, for ${strikes['cost'].sum():,.0f}")
print(f"busiest month: {months['strikes'].idxmax()}; most harmful: {months['damage_share'].idxmax()}")
