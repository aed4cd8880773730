//! Cells under each other, and figures with the digits that matter.

use crate::spread::Spread;

/// A median and its range.
pub(crate) fn spread(spread: &Spread) -> String {
    format!("{} [{}–{}]", number(spread.median), number(spread.min), number(spread.max))
}

/// Three digits that matter.
pub(crate) fn number(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Lines with their cells under each other.
pub(crate) fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let padded: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_each_other() {
        let line = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(aligned(&[line(["", "ab"]), line(["µs", "c"])]), "    ab\nµs  c\n");
    }

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!([0.0234, 2.345, 23.45, 234.5].map(number), ["0.023", "2.35", "23.4", "234"]);
    }
}
