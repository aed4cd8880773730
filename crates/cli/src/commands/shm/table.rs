//! Tables that fit the terminal: columns that can be spared are left out, and long cells go on in the next line.

/// What a column is called, and what becomes of it where there is too little room.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    /// The highest is left out first; 0 never.
    spare: u8,
    /// How narrow it may become before its cells go on in the next line; 0 if they never do.
    least: usize,
}

impl Column {
    /// One that is always shown, each cell in one line.
    pub(crate) const fn new(heading: &'static str) -> Self {
        Self { heading, spare: 0, least: 0 }
    }

    /// Left out where there is too little room; the highest `order` first.
    pub(crate) const fn spare(mut self, order: u8) -> Self {
        self.spare = order;
        self
    }

    /// Its cells may go on in the next line, in so many characters at least.
    pub(crate) const fn wrapped(mut self, least: usize) -> Self {
        self.least = least;
        self
    }
}

/// Rows under headings. A cell may list several things, a line each.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// Between two columns.
const GAP: usize = 2;

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// A row, with as many cells as there are columns.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table in at most `width` characters, as far as its columns can be narrowed; without a width, everything, a line for each row.
    /// The headings of the columns that were left out come with it.
    pub(crate) fn text(&self, width: Option<usize>) -> (String, Vec<&'static str>) {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let mut widths: Vec<usize> = shown.iter().map(|column| self.natural(*column, width.is_none())).collect();
        let mut left_out = Vec::new();
        let Some(width) = width else { return (self.draw(&shown, &widths, true), left_out) };
        let total = |shown: &[usize], widths: &[usize]| {
            shown.iter().map(|column| widths[*column] + GAP).sum::<usize>().saturating_sub(GAP)
        };
        while total(&shown, &widths) > width {
            let spare = |column: &usize| self.columns[*column].spare;
            let Some(first) = shown.iter().copied().filter(|column| spare(column) > 0).max_by_key(spare) else { break };
            shown.retain(|column| *column != first);
            left_out.push(self.columns[first].heading);
        }
        while total(&shown, &widths) > width {
            let can = |column: &usize| {
                let least = self.columns[*column].least;
                least > 0 && widths[*column] > least.max(self.columns[*column].heading.len())
            };
            let Some(widest) = shown.iter().copied().filter(can).max_by_key(|column| widths[*column]) else { break };
            widths[widest] -= 1;
        }
        (self.draw(&shown, &widths, false), left_out)
    }

    /// How wide a column would like to be.
    fn natural(&self, column: usize, in_one_line: bool) -> usize {
        let cells = self.rows.iter().map(|row| &row[column]);
        let longest = cells.flat_map(|cell| lines(cell, in_one_line)).map(|line| line.chars().count()).max();
        longest.unwrap_or(0).max(self.columns[column].heading.chars().count())
    }

    fn draw(&self, shown: &[usize], widths: &[usize], in_one_line: bool) -> String {
        let headings: Vec<String> = self.columns.iter().map(|column| column.heading.to_owned()).collect();
        let mut text = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let cells: Vec<Vec<String>> = shown
                .iter()
                .map(|column| {
                    lines(&row[*column], in_one_line).iter().flat_map(|line| wrap(line, widths[*column])).collect()
                })
                .collect();
            for number in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let line: String = shown
                    .iter()
                    .zip(&cells)
                    .map(|(column, cell)| {
                        let piece = cell.get(number).map_or("", String::as_str);
                        format!("{piece:width$}{:GAP$}", "", width = widths[*column])
                    })
                    .collect();
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        text
    }
}

fn lines(cell: &str, in_one_line: bool) -> Vec<String> {
    if in_one_line { vec![cell.replace('\n', ", ")] } else { cell.split('\n').map(str::to_owned).collect() }
}

/// The text in lines of at most `width` characters, broken between words, or within a word that is longer than that.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut all = vec![String::new()];
    for word in text.split(' ') {
        let last = all.last_mut().expect("there is a line");
        let room = width.saturating_sub(last.chars().count());
        if last.is_empty() || word.chars().count() < room {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        } else {
            all.push(word.to_owned());
        }
        while all.last().is_some_and(|line| line.chars().count() > width) {
            let line = all.pop().expect("there is a line");
            let at = line.char_indices().nth(width).map_or(line.len(), |(at, _)| at);
            all.push(line[..at].to_owned());
            all.push(line[at..].to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let columns = [Column::new("NAME"), Column::new("WHO").wrapped(6), Column::new("COUNT").spare(1)];
        let mut table = Table::new(&columns);
        table.row(vec!["a-long-name".into(), "ann and bob\ncarl".into(), "7".into()]);
        table.row(vec!["b".into(), String::new(), String::new()]);
        table
    }

    #[test]
    fn with_room_columns_line_up_and_nothing_trails() {
        let (text, left_out) = table().text(Some(80));
        assert_eq!(text, "NAME         WHO          COUNT\na-long-name  ann and bob  7\n             carl\nb\n");
        assert!(left_out.is_empty());
    }

    #[test]
    fn without_a_width_each_row_is_one_line() {
        let text = table().text(None).0;
        assert_eq!(text.lines().nth(1), Some("a-long-name  ann and bob, carl  7"));
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn what_can_be_spared_goes_first_and_then_cells_are_wrapped() {
        let (text, left_out) = table().text(Some(24));
        assert_eq!((text.lines().nth(1), left_out), (Some("a-long-name  ann and bob"), vec!["COUNT"]));
        for width in 19..40 {
            let text = table().text(Some(width)).0;
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}\n{text}");
            assert!(["ann", "bob", "carl"].iter().all(|name| text.contains(name)), "{width}\n{text}");
        }
    }

    #[test]
    fn a_word_that_is_longer_than_its_column_is_broken() {
        assert_eq!(wrap("ab cdefgh i", 3), ["ab", "cde", "fgh", "i"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("né wé", 2), ["né", "wé"]);
    }
}
