//! Rows of several columns, whose last one takes what is left of the line.

use crate::text::{WIDEST, columns, elided, end_of, narrowed, padded};
use std::io::{self, Write};

/// Rows that are kept to learn how wide the columns have to be.
const FIRST_ROWS: usize = 200;

/// Prints rows as they come.
pub(crate) struct Grid<const N: usize> {
    /// Columns of a line, or `None` for whole lines.
    width: Option<usize>,
    header: [String; N],
    /// How columns give way on a narrow terminal: those first that lose least by it.
    steps: &'static [(usize, usize)],
    /// The column of which the end tells more than the beginning.
    by_end: usize,
    kept: Vec<[String; N]>,
    widths: Option<[usize; N]>,
}

impl<const N: usize> Grid<N> {
    pub(crate) fn new(
        width: Option<usize>,
        header: [&str; N],
        steps: &'static [(usize, usize)],
        by_end: usize,
    ) -> Self {
        Self { width, header: header.map(str::to_owned), steps, by_end, kept: Vec::new(), widths: None }
    }

    pub(crate) fn row(&mut self, output: &mut impl Write, row: [String; N]) -> io::Result<()> {
        if let Some(widths) = self.widths {
            return self.print(output, widths, &row);
        }
        self.kept.push(row);
        if self.kept.len() >= FIRST_ROWS { self.flush(output) } else { Ok(()) }
    }

    /// Prints what is kept, with the header before it.
    pub(crate) fn flush(&mut self, output: &mut impl Write) -> io::Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.kept);
        let widest = |column: usize| {
            rows.iter().map(|row| columns(&row[column])).fold(columns(&self.header[column]), usize::max)
        };
        let mut widths: [usize; N] = std::array::from_fn(|column| widest(column).min(WIDEST));
        widths[N - 1] = 0;
        if let Some(line) = self.width {
            // A fifth of the line is left for the last column.
            narrowed(&mut widths, self.steps, (line * 4 / 5).saturating_sub(2 * (N - 1)));
        }
        self.widths = Some(widths);
        self.print(output, widths, &self.header)?;
        rows.iter().try_for_each(|row| self.print(output, widths, row))
    }

    fn print(&self, output: &mut impl Write, widths: [usize; N], row: &[String; N]) -> io::Result<()> {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).take(N - 1).enumerate() {
            let cell = match self.width {
                None => cell.clone(),
                Some(_) if column == self.by_end => end_of(cell, width),
                Some(_) => elided(cell, width),
            };
            line.push_str(&padded(&cell, width + 2));
        }
        line.push_str(&row[N - 1]);
        let line = self.width.map_or_else(|| line.clone(), |width| elided(&line, width));
        writeln!(output, "{}", line.trim_end())
    }
}
