//! The comparison as an SVG: three panels of bars, and what to use for what.
//!
//! It is drawn for light and for dark pages, without a font of its own and without scripts. Times are on a logarithmic scale: between
//! the fastest and the slowest of them lie three powers of ten.

use super::{
    advice::Advice,
    course::{Course, Flow},
    endpoint::count,
    host::Host,
    percentiles::time,
    way::{Family, Row},
};

const WIDTH: f64 = 1080.0;
const MARGIN: f64 = 32.0;
const LABEL: f64 = 128.0;
const GAP: f64 = 28.0;
const BAR: f64 = 16.0;
const STEP: f64 = 25.0;
const HEAD: f64 = 118.0;

const STYLE: &str = "
  svg { font-family: system-ui, sans-serif; font-size: 13px; background: #fbfaf7; }
  text { fill: #2b2a27; } .soft { fill: #77736b; font-size: 11.5px; } h1, .title { font-size: 22px; font-weight: 650; }
  .panel { font-size: 14px; font-weight: 600; } .grid { stroke: #e4e0d7; } .tail { stroke: #2b2a27; stroke-width: 1.4; opacity: .55; }
  .memory { fill: #2f7f6f; } .kernel { fill: #4a6fa5; } .network { fill: #b9803a; } .broker { fill: #9a4f6d; }
  @media (prefers-color-scheme: dark) {
    svg { background: #1b1c1e; } text { fill: #e8e5de; } .soft { fill: #9b968c; } .grid { stroke: #34353a; } .tail { stroke: #e8e5de; }
    .memory { fill: #4fb3a0; } .kernel { fill: #7ea2d6; } .network { fill: #dca765; } .broker { fill: #cf86a5; }
  }
";

const LEGEND: [(Family, &str); 4] = [
    (Family::Memory, "shared memory"),
    (Family::Kernel, "pipes and Unix sockets"),
    (Family::Network, "loopback network"),
    (Family::Broker, "through a broker"),
];

/// One bar: how long, how it is labelled, and where a thin line goes on to.
struct Bar {
    value: f64,
    label: String,
    tail: Option<f64>,
}

/// One panel of the picture.
struct Panel {
    title: &'static str,
    note: &'static str,
    logarithmic: bool,
    bar: fn(&Row) -> Option<Bar>,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "Round trip",
        note: "median, line to p99; shorter is better; log scale",
        logarithmic: true,
        bar: |row| {
            let trip = row.figures.round_trip?;
            Some(Bar { value: trip.p50 as f64, label: time(trip.p50), tail: Some(trip.p99 as f64) })
        },
    },
    Panel {
        title: "Small messages, one way",
        note: "per second; longer is better; log scale",
        logarithmic: true,
        bar: |row| {
            let rate = row.figures.small.per_second;
            Some(Bar { value: rate, label: count(rate) + lossy(&row.figures.small), tail: None })
        },
    },
    Panel {
        title: "64 KiB messages, one way",
        note: "GB per second; longer is better",
        logarithmic: false,
        bar: |row| {
            let large = row.figures.large.as_ref()?;
            let rate = large.bytes_per_second() / 1e9;
            Some(Bar { value: rate, label: format!("{rate:.2}{}", lossy(large)), tail: None })
        },
    },
];

pub(super) fn of(rows: &[Row], advice: &[Advice], host: &Host, course: &Course) -> String {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    // Those without a round trip come last.
    sorted.sort_by_key(|row| row.figures.round_trip.map_or(u64::MAX, |trip| trip.p50));
    let panels_end = HEAD + 40.0 + STEP * sorted.len() as f64;
    let height = panels_end + 60.0 + 21.0 * advice.len() as f64 + 44.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\" \
         aria-label=\"What each way to talk costs on this machine\">\n<style>{STYLE}</style>\n"
    );
    svg += &label(MARGIN, 44.0, "title", "What each way to talk costs on this machine");
    let facts = format!("messages of {} B between two processes · {}", course.size, host.line());
    svg += &label(MARGIN, 66.0, "soft", &facts);
    svg += &legend();
    for (index, row) in sorted.iter().enumerate() {
        svg += &label(MARGIN, HEAD + 40.0 + STEP * index as f64 + BAR - 3.0, "", row.way.name);
    }
    let width = (WIDTH - 2.0 * MARGIN - LABEL - 2.0 * GAP) / 3.0;
    for (index, panel) in PANELS.iter().enumerate() {
        svg += &draw(panel, &sorted, MARGIN + LABEL + index as f64 * (width + GAP), width);
    }
    svg += &label(MARGIN, panels_end + 40.0, "panel", "Which to use here");
    for (index, advice) in advice.iter().enumerate() {
        let y = panels_end + 64.0 + 21.0 * index as f64;
        svg += &label(MARGIN, y, "", advice.need);
        svg += &label(MARGIN + 290.0, y, "panel", advice.way);
        svg += &label(MARGIN + 410.0, y, "soft", &advice.why);
    }
    svg + "</svg>\n"
}

/// A mark for what did not all arrive.
const fn lossy(flow: &Flow) -> &'static str {
    if flow.lost() > 0 { " lossy" } else { "" }
}

fn legend() -> String {
    let mut x = MARGIN;
    let mut svg = String::new();
    for (family, text) in LEGEND {
        svg +=
            &format!("<rect class=\"{}\" x=\"{x:.0}\" y=\"80\" width=\"12\" height=\"12\" rx=\"3\"/>", class(family));
        svg += &label(x + 18.0, 90.5, "soft", text);
        x += 40.0 + 6.6 * text.len() as f64;
    }
    svg
}

fn draw(panel: &Panel, rows: &[&Row], left: f64, width: f64) -> String {
    let mut svg = label(left, HEAD + 4.0, "panel", panel.title) + &label(left, HEAD + 20.0, "soft", panel.note);
    let bars: Vec<Option<Bar>> = rows.iter().map(|row| (panel.bar)(row)).collect();
    let ends = bars.iter().flatten().map(|bar| bar.tail.unwrap_or(bar.value).max(bar.value));
    let most = ends.fold(f64::MIN_POSITIVE, f64::max);
    let least = bars.iter().flatten().map(|bar| bar.value).fold(most, f64::min);
    // The label stands behind the bar.
    let room = width - 62.0;
    let scale = |value: f64| {
        if panel.logarithmic {
            let from = (least / 3.0).ln();
            room * ((value.ln() - from) / (most.ln() - from)).clamp(0.01, 1.0)
        } else {
            room * (value / most).clamp(0.005, 1.0)
        }
    };
    for (index, (row, bar)) in rows.iter().zip(&bars).enumerate() {
        let top = HEAD + 40.0 + STEP * index as f64;
        let middle = top + BAR / 2.0;
        let Some(bar) = bar else {
            svg += &label(left, top + BAR - 3.0, "soft", "–");
            continue;
        };
        let end = scale(bar.value);
        svg += &format!(
            "<line class=\"grid\" x1=\"{left:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\"/>\
             <rect class=\"{}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{end:.1}\" height=\"{BAR}\" rx=\"3\"/>\n",
            left + room,
            class(row.way.family)
        );
        let mut behind = end;
        if let Some(tail) = bar.tail {
            behind = scale(tail).max(end);
            svg += &format!(
                "<path class=\"tail\" fill=\"none\" d=\"M{:.1} {middle:.1}H{:.1}m0 -4v8\"/>\n",
                left + end,
                left + behind
            );
        }
        svg += &label(left + behind + 6.0, top + BAR - 3.5, "soft", &bar.label);
    }
    svg
}

const fn class(family: Family) -> &'static str {
    match family {
        Family::Memory => "memory",
        Family::Kernel => "kernel",
        Family::Network => "network",
        Family::Broker => "broker",
    }
}

fn label(x: f64, y: f64, class: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>\n")
}
