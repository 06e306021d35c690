//! What was measured, as text.

use crate::machine::{cpu_model, versions};
use crate::measure::Cell;

/// A column per number of statements.
pub(crate) type Column = (usize, Vec<Cell>);

/// Markdown: the median time of a decision, and how many times as long as Portcullis that is, with the range over the rounds.
pub(crate) fn table(columns: &[Column]) -> String {
    let Some((_, names)) = columns.first() else { return String::new() };
    let sizes: Vec<String> = columns.iter().map(|(size, _)| grouped(*size as f64)).collect();
    let mut lines = vec![format!("| engine | {} |", sizes.join(" | ")), format!("|---|{}", "---|".repeat(columns.len()))];
    for Cell { name, .. } in names {
        let cells: Vec<String> = columns.iter().filter_map(|(_, cells)| cells.iter().find(|cell| cell.name == *name)).map(cell).collect();
        lines.push(format!("| {name} | {} |", cells.join(" | ")));
    }
    lines.join("\n")
}

fn cell(cell: &Cell) -> String {
    let time = time(median(&cell.ns));
    if cell.ratios.is_empty() {
        let (least, most) = range(&cell.ns);
        return format!("{time} [{least:.0}-{most:.0}]");
    }
    let (least, most) = range(&cell.ratios);
    format!("{time}, **{}** [{}-{}]", factor(median(&cell.ratios)), factor(least), factor(most))
}

/// How it was measured.
pub(crate) fn conditions(columns: &[Column], rounds: usize) -> String {
    let cut: Vec<String> = columns
        .iter()
        .flat_map(|(size, cells)| {
            let most = cells.iter().map(|cell| cell.batch).max().unwrap_or(0);
            let cut = cells.iter().filter(move |cell| cell.batch < most);
            cut.map(move |cell| format!("{} at {}: {} of {most} requests", cell.name, grouped(*size as f64), cell.batch))
        })
        .collect();
    let cut = if cut.is_empty() { "none".to_owned() } else { cut.join("; ") };
    format!(
        "Columns: statements held. Cells: median CPU time of a decision, **times Portcullis** [range over the rounds].\n\
         {rounds} rounds on {}; {}.\nShorter batches: {cut}.",
        cpu_model(),
        versions()
    )
}

/// Which floors are missed, a line each.
pub(crate) fn missed(columns: &[Column], size: usize, floors: &[(&str, f64)]) -> Vec<String> {
    let cells = || columns.iter().filter(|(column, _)| *column == size).flat_map(|(_, cells)| cells);
    let mut lines = Vec::new();
    for (name, floor) in floors {
        let ratio = cells().find(|cell| cell.name == *name).map_or(0.0, |cell| median(&cell.ratios));
        if ratio < *floor {
            lines.push(format!("missed: {name} at {size} statements takes {} times as long, not {floor}", factor(ratio)));
        }
    }
    lines
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = sorted.get(half).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 { upper } else { (upper + sorted.get(half.wrapping_sub(1)).copied().unwrap_or(upper)) / 2.0 }
}

fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, 0.0), |(least, most), value| (value.min(least), value.max(most)))
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.*} µs", decimals(ns / 1e3), ns / 1e3),
        ns => format!("{:.*} ms", decimals(ns / 1e6), ns / 1e6),
    }
}

fn factor(ratio: f64) -> String {
    if ratio < 1e3 { format!("{ratio:.*}", decimals(ratio)) } else { grouped(ratio) }
}

fn decimals(value: f64) -> usize {
    if value < 10.0 { 1 } else { 0 }
}

/// `12,345`.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(size: usize, ratios: &[f64]) -> Column {
        let own = Cell { name: "portcullis", ns: vec![100.0, 120.0, 101.0], ratios: Vec::new(), batch: 9 };
        let ns = ratios.iter().map(|ratio| ratio * 100.0).collect();
        (size, vec![own, Cell { name: "peer", ns, ratios: ratios.to_vec(), batch: 7 }])
    }

    #[test]
    fn the_table_has_a_row_per_engine() {
        let columns = [column(4, &[12.0, 9.5, 14.0]), column(1_000, &[1_500.0, 1_400.4, 20_000.0])];
        assert_eq!(
            table(&columns),
            "| engine | 4 | 1,000 |\n|---|---|---|\n| portcullis | 101 ns [100-120] | 101 ns [100-120] |\n\
             | peer | 1.2 µs, **12** [9.5-14] | 150 µs, **1,500** [1,400-20,000] |"
        );
        assert!(conditions(&columns, 3).contains("peer at 1,000: 7 of 9 requests"));
    }

    #[test]
    fn a_floor_is_missed_by_the_median() {
        let columns = [column(1_000, &[9.0, 9.9, 30.0])];
        assert_eq!(missed(&columns, 1_000, &[("peer", 9.5)]), Vec::<String>::new());
        assert_eq!(missed(&columns, 1_000, &[("peer", 10.0)]), ["missed: peer at 1000 statements takes 9.9 times as long, not 10"]);
        assert_eq!(missed(&columns, 1_000, &[("nobody", 1.0)]).len(), 1);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
    }
}
