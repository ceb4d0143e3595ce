//! The charts.

use crate::measured::Measured;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (820, 420);
const OURS: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const THEIRS: RGBColor = RGBColor(0xb0, 0xb0, 0xb0);
const LINES: [RGBColor; 3] = [OURS, RGBColor(0xd9, 0x5f, 0x02), RGBColor(0x1b, 0x9e, 0x77)];

pub(crate) fn draw(measured: &Measured, directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    capture(measured, &directory.join("capture.svg"));
    latency(measured, &directory.join("latency.svg"));
    writer(measured, &directory.join("writer.svg"));
}

/// A label of an axis.
fn whole(figure: f64) -> String {
    if figure < 1000.0 { format!("{figure:.0}") } else { crate::short(figure) }
}

/// A bar for each way, on a logarithmic scale.
fn capture(measured: &Measured, path: &Path) {
    const WAYS: [&str; 8] = [
        "INSERT, awaited",
        "tracing, JSON",
        "fastrace",
        "OpenTelemetry, batch",
        "audited",
        "serde_json of the fields",
        "audited, nothing installed",
        "bare",
    ];
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).unwrap();
    let caption = "nanoseconds a call, median (logarithmic; less is better)";
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(190)
        .build_cartesian_2d((1.0..2_000_000.0).log_scale(), (0..WAYS.len() - 1).into_segmented())
        .unwrap();
    let name = |segment: &SegmentValue<usize>| match segment {
        SegmentValue::CenterOf(way) => WAYS.get(*way).copied().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(WAYS.len())
        .y_label_formatter(&name)
        .x_label_formatter(&|nanos| whole(*nanos))
        .draw()
        .unwrap();
    for (place, way) in WAYS.into_iter().enumerate() {
        let nanos = measured.capture(way);
        let color = if way.starts_with("audited") { OURS } else { THEIRS };
        let corners = [(1.0, SegmentValue::Exact(place)), (nanos, SegmentValue::Exact(place + 1))];
        let mut bar = Rectangle::new(corners, color.filled());
        bar.set_margin(5, 5, 0, 0);
        chart.draw_series([bar]).unwrap();
        let label = Text::new(crate::short(nanos), (nanos * 1.1, SegmentValue::CenterOf(place)), ("sans-serif", 13));
        chart.draw_series([label]).unwrap();
    }
    root.present().unwrap();
}

/// Single calls by percentile.
fn latency(measured: &Measured, path: &Path) {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).unwrap();
    let caption = "nanoseconds of single calls by percentile, while the writer ships (logarithmic; less is better)";
    let points = measured.latency[0].1.len();
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 17))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(30)
        .y_label_area_size(80)
        .build_cartesian_2d(0..points - 1, (10.0..10_000_000.0).log_scale())
        .unwrap();
    chart
        .configure_mesh()
        .x_labels(points)
        .x_label_formatter(&|at| measured.latency[0].1.get(*at).map(|(name, _)| name.clone()).unwrap_or_default())
        .y_label_formatter(&|nanos| whole(*nanos))
        .draw()
        .unwrap();
    for ((name, at), color) in measured.latency.iter().zip(LINES) {
        let line = at.iter().enumerate().map(|(place, (_, nanos))| (place, *nanos));
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(3)))
            .unwrap()
            .label(name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(THEIRS)
        .draw()
        .unwrap();
    root.present().unwrap();
}

/// Rows a second by the size of the batch, a line for each number of connections.
fn writer(measured: &Measured, path: &Path) {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).unwrap();
    let most = measured.sizes.iter().map(|(_, _, rate)| *rate).fold(measured.writer("psql \\copy"), f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption("rows a second by the rows of a batch (more is better)", ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(80)
        .build_cartesian_2d((200.0..25_000.0).log_scale(), 0.0..most * 1.1)
        .unwrap();
    chart
        .configure_mesh()
        .x_label_formatter(&|rows| whole(*rows))
        .y_label_formatter(&|rate| whole(*rate))
        .draw()
        .unwrap();
    let mut connections: Vec<u64> = measured.sizes.iter().map(|(connections, _, _)| *connections).collect();
    connections.dedup();
    for (number, color) in connections.into_iter().zip(LINES) {
        let of_it = measured.sizes.iter().filter(move |(connections, _, _)| *connections == number);
        let line = of_it.map(|(_, rows, rate)| (*rows as f64, *rate));
        let label = if number == 1 { "1 connection".into() } else { format!("{number} connections") };
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(3)))
            .unwrap()
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(3)));
    }
    let copy = measured.writer("psql \\copy");
    let line = [(200.0, copy), (25_000.0, copy)];
    chart
        .draw_series(LineSeries::new(line, THEIRS.stroke_width(2)))
        .unwrap()
        .label("psql \\copy")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], THEIRS.stroke_width(2)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(THEIRS)
        .draw()
        .unwrap();
    root.present().unwrap();
}
