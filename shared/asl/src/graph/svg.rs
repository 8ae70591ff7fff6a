//! A standalone SVG.

use std::fmt::Write;

use super::layout::{Layout, Link, Point, Route, Size, layout};
use super::{EdgeKind, Graph, Node, label, type_name};
use crate::{Definition, StateKind};

const PADDING: f64 = 20.0;
const NODE_WIDTH_MIN: f64 = 120.0;
const NODE_WIDTH_MAX: f64 = 300.0;
const NODE_HEIGHT: f64 = 46.0;
const GROUP_HEADER: f64 = 34.0;
const GROUP_PADDING: f64 = 18.0;
const BRANCH_GAP: f64 = 22.0;
const BUBBLE: Size = Size { width: 62.0, height: 28.0 };
const NAME_SIZE: f64 = 13.0;
const SMALL_SIZE: f64 = 11.0;
const LABEL_WIDTH_MAX: f64 = 230.0;

/// The definition as an SVG that needs nothing else: boxes coloured by type, nested for Parallel and Map, labels at
/// conditional edges, dashes for Catchers.
pub fn svg(definition: &Definition) -> String {
    let graph = Graph::of(definition, definition.root());
    let block = Block::of(&graph, true);
    let (width, height) = (block.size.width + 2.0 * PADDING, block.size.height + 2.0 * PADDING);
    let mut out = String::new();
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif">"#
    );
    out.push_str(HEAD);
    let _ = writeln!(out, r##"<rect width="{width:.0}" height="{height:.0}" fill="#ffffff"/>"##);
    block.draw(Point { x: PADDING, y: PADDING }, &mut out);
    out.push_str("</svg>\n");
    out
}

/// A `States` block with a place for everything in it.
struct Block<'g> {
    size: Size,
    boxes: Vec<Box_<'g>>,
    edges: Vec<Line>,
    layout: Layout,
}

/// What is drawn for a node.
struct Box_<'g> {
    size: Size,
    shape: Shape<'g>,
}

enum Shape<'g> {
    State { node: &'g Node<'g>, inner: Vec<Block<'g>> },
    Bubble(&'static str),
}

struct Line {
    kind: EdgeKind,
    label: String,
}

impl<'g> Block<'g> {
    fn of(graph: &'g Graph<'g>, outermost: bool) -> Self {
        let mut boxes: Vec<Box_<'g>> = graph.nodes.iter().map(Box_::of).collect();
        let mut links = Vec::new();
        let mut edges = Vec::new();
        let mut connect = |from: usize, to: usize, kind: EdgeKind, label: &str| {
            let text = label::cut(label, 44);
            let size =
                Size { width: text_width(&text, SMALL_SIZE).min(LABEL_WIDTH_MAX) + 10.0, height: 18.0 };
            links.push(Link { from, to, label: (!text.is_empty()).then_some(size) });
            edges.push(Line { kind, label: label.to_owned() });
        };
        for edge in &graph.edges {
            connect(edge.from, edge.to, edge.kind, &edge.label);
        }
        let mut first = graph.start;
        if outermost && !graph.nodes.is_empty() {
            first = boxes.len();
            boxes.push(Box_ { size: BUBBLE, shape: Shape::Bubble("Start") });
            connect(first, graph.start, EdgeKind::Next, "");
            let ends: Vec<usize> = (0..graph.nodes.len()).filter(|at| graph.nodes[*at].ends).collect();
            if !ends.is_empty() {
                boxes.push(Box_ { size: BUBBLE, shape: Shape::Bubble("End") });
                for end in ends {
                    connect(end, first + 1, EdgeKind::Next, "");
                }
            }
        }
        let sizes: Vec<Size> = boxes.iter().map(|b| b.size).collect();
        let layout = layout(&sizes, &links, first);
        Block { size: layout.size, boxes, edges, layout }
    }

    fn draw(&self, at: Point, out: &mut String) {
        for (line, route) in self.edges.iter().zip(&self.layout.routes) {
            line.draw_path(at, route, out);
        }
        for (line, route) in self.edges.iter().zip(&self.layout.routes) {
            line.draw_label(at, route, out);
        }
        for (box_, centre) in self.boxes.iter().zip(&self.layout.nodes) {
            box_.draw(Point { x: at.x + centre.x, y: at.y + centre.y }, out);
        }
    }
}

impl<'g> Box_<'g> {
    fn of(node: &'g Node<'g>) -> Self {
        let inner: Vec<Block<'g>> = node.inner.iter().map(|graph| Block::of(graph, false)).collect();
        let name = text_width(&node.state.name, NAME_SIZE) + 32.0;
        let below = text_width(&subtitle(node), SMALL_SIZE) + 32.0;
        let mut size =
            Size { width: name.max(below).clamp(NODE_WIDTH_MIN, NODE_WIDTH_MAX), height: NODE_HEIGHT };
        if !inner.is_empty() {
            let content: f64 = inner.iter().map(|block| block.size.width).sum();
            let gaps = (inner.len() - 1) as f64 * BRANCH_GAP;
            let tallest = inner.iter().map(|block| block.size.height).fold(0.0, f64::max);
            size.width = size.width.max(content + gaps + 2.0 * GROUP_PADDING);
            size.height = GROUP_HEADER + tallest + 2.0 * GROUP_PADDING;
        }
        Box_ { size, shape: Shape::State { node, inner } }
    }

    fn draw(&self, centre: Point, out: &mut String) {
        match &self.shape {
            Shape::Bubble(text) => self.draw_bubble(centre, text, out),
            Shape::State { node, inner } if inner.is_empty() => self.draw_state(centre, node, out),
            Shape::State { node, inner } => self.draw_group(centre, node, inner, out),
        }
    }

    fn corner(&self, centre: Point) -> Point {
        Point { x: centre.x - self.size.width / 2.0, y: centre.y - self.size.height / 2.0 }
    }

    fn draw_bubble(&self, centre: Point, text: &str, out: &mut String) {
        let (Point { x, y }, Size { width, height }) = (self.corner(centre), self.size);
        let radius = height / 2.0;
        let _ = writeln!(
            out,
            r##"<rect x="{x:.1}" y="{y:.1}" width="{width}" height="{height}" rx="{radius}" fill="#374151"/><text x="{:.1}" y="{:.1}" class="m" fill="#ffffff">{text}</text>"##,
            centre.x,
            centre.y + 4.0
        );
    }

    fn draw_state(&self, centre: Point, node: &Node<'_>, out: &mut String) {
        let (Point { x, y }, Size { width, height }) = (self.corner(centre), self.size);
        let (fill, stroke) = colours(&node.state.kind);
        let _ = write!(out, "<g><title>{}</title>", escaped(&node.state.name));
        if let StateKind::Choice(_) = node.state.kind {
            let (left, right, top, bottom) = (x - 8.0, x + width + 8.0, y, y + height);
            let (l, r) = (x + 8.0, x + width - 8.0);
            let _ = write!(
                out,
                r#"<path d="M{l:.1} {top:.1}H{r:.1}L{right:.1} {:.1}L{r:.1} {bottom:.1}H{l:.1}L{left:.1} {:.1}Z" fill="{fill}" stroke="{stroke}" stroke-width="1.4" stroke-linejoin="round"/>"#,
                centre.y, centre.y
            );
        } else {
            let _ = write!(
                out,
                r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="7" fill="{fill}" stroke="{stroke}" stroke-width="1.4"/>"#
            );
        }
        let room = width - 24.0;
        let name = fitted(&node.state.name, NAME_SIZE, room);
        let below = fitted(&subtitle(node), SMALL_SIZE, room);
        let _ = writeln!(
            out,
            r#"<text x="{:.1}" y="{:.1}" class="n">{}</text><text x="{:.1}" y="{:.1}" class="s" fill="{stroke}">{}</text></g>"#,
            centre.x,
            centre.y - 3.0,
            escaped(&name),
            centre.x,
            centre.y + 13.0,
            escaped(&below)
        );
    }

    fn draw_group(&self, centre: Point, node: &Node<'_>, inner: &[Block<'g>], out: &mut String) {
        let (Point { x, y }, Size { width, height }) = (self.corner(centre), self.size);
        let (fill, stroke) = colours(&node.state.kind);
        let name = fitted(&node.state.name, NAME_SIZE, width - 130.0);
        let _ = writeln!(
            out,
            r##"<g><title>{}</title><rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="9" fill="{fill}" stroke="{stroke}" stroke-width="1.4"/><text x="{:.1}" y="{:.1}" class="g">{}</text><text x="{:.1}" y="{:.1}" class="t" fill="{stroke}">{}</text></g>"##,
            escaped(&node.state.name),
            x + 14.0,
            y + 22.0,
            escaped(&name),
            x + width - 14.0,
            y + 22.0,
            escaped(&subtitle(node)),
        );
        let content: f64 = inner.iter().map(|block| block.size.width).sum();
        let gaps = (inner.len() - 1) as f64 * BRANCH_GAP;
        let mut left = centre.x - (content + gaps) / 2.0;
        for (at, block) in inner.iter().enumerate() {
            let top = y + GROUP_HEADER + GROUP_PADDING;
            if at > 0 {
                let x = left - BRANCH_GAP / 2.0;
                let _ = writeln!(
                    out,
                    r#"<path d="M{x:.1} {:.1}V{:.1}" stroke="{stroke}" stroke-opacity=".45" stroke-dasharray="3 5" fill="none"/>"#,
                    y + GROUP_HEADER + 6.0,
                    y + height - 12.0
                );
            }
            block.draw(Point { x: left, y: top }, out);
            left += block.size.width + BRANCH_GAP;
        }
    }
}

impl Line {
    fn draw_path(&self, at: Point, route: &Route, out: &mut String) {
        let points: Vec<Point> =
            route.points.iter().map(|p| Point { x: p.x + at.x, y: p.y + at.y }).collect();
        let class = if self.kind == EdgeKind::Catch { "e c" } else { "e" };
        let head = if self.kind == EdgeKind::Catch { "ac" } else { "a" };
        let _ =
            writeln!(out, r##"<path class="{class}" d="{}" marker-end="url(#{head})"/>"##, curve(&points));
    }

    fn draw_label(&self, at: Point, route: &Route, out: &mut String) {
        if self.label.is_empty() {
            return;
        }
        let text = fitted(&label::cut(&self.label, 44), SMALL_SIZE, LABEL_WIDTH_MAX);
        let width = text_width(&text, SMALL_SIZE) + 10.0;
        let (x, y) = (at.x + route.label.x, at.y + route.label.y);
        let class = if self.kind == EdgeKind::Catch { "lc" } else { "l" };
        let _ = writeln!(
            out,
            r##"<g><title>{}</title><rect x="{:.1}" y="{:.1}" width="{width:.1}" height="17" rx="4" fill="#ffffff" fill-opacity=".92"/><text x="{x:.1}" y="{:.1}" class="{class}">{}</text></g>"##,
            escaped(&self.label),
            x - width / 2.0,
            y - 8.5,
            y + 4.0,
            escaped(&text)
        );
    }
}

/// A path through `points` that leaves and arrives vertically.
fn curve(points: &[Point]) -> String {
    let mut path = String::new();
    let Some(first) = points.first() else { return path };
    let _ = write!(path, "M{:.1} {:.1}", first.x, first.y);
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        if (from.x - to.x).abs() < 0.5 || (from.y - to.y).abs() < 0.5 {
            let _ = write!(path, "L{:.1} {:.1}", to.x, to.y);
        } else {
            let middle = (from.y + to.y) / 2.0;
            let _ =
                write!(path, "C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {:.1}", from.x, to.x, to.x, to.y);
        }
    }
    path
}

fn subtitle(node: &Node<'_>) -> String {
    let detail = label::detail(node.state);
    if detail.is_empty() {
        type_name(node.state).to_owned()
    } else {
        format!("{} · {detail}", type_name(node.state))
    }
}

/// Fill and stroke.
fn colours(kind: &StateKind) -> (&'static str, &'static str) {
    match kind {
        StateKind::Task(_) => ("#e9f2fd", "#2563b8"),
        StateKind::Pass(_) => ("#f4f5f7", "#5f6b7a"),
        StateKind::Choice(_) => ("#fff5da", "#a8690f"),
        StateKind::Wait(_) => ("#f3edfd", "#6d43bf"),
        StateKind::Succeed(_) => ("#e5f6ea", "#25783f"),
        StateKind::Fail(_) => ("#fdeaea", "#b83232"),
        StateKind::Parallel(_) => ("#f2fafa", "#1c7d80"),
        StateKind::Map(_) => ("#f4f5fe", "#4a55b8"),
    }
}

/// About how wide `text` is, in pixels.
fn text_width(text: &str, size: f64) -> f64 {
    let width = |c: char| match c {
        'i' | 'l' | 'j' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '[' | ']' | '(' | ')' => 0.34,
        'f' | 't' | 'r' | ' ' | '-' | '/' => 0.42,
        'm' | 'w' | 'M' | 'W' | '…' | '@' | '%' => 0.95,
        'A'..='Z' => 0.71,
        c if c.is_ascii() => 0.61,
        c if u32::from(c) >= 0x1100 => 1.05,
        _ => 0.66,
    };
    text.chars().take(500).map(width).sum::<f64>() * size
}

/// As much of `text` as fits into `room` pixels.
fn fitted(text: &str, size: f64, room: f64) -> String {
    if text_width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut left = room - size;
    for c in text.chars() {
        left -= text_width(c.encode_utf8(&mut [0; 4]), size);
        if left < 0.0 {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

/// Text as XML has it; characters that XML does not know become spaces.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

const HEAD: &str = r##"<style>
.e{fill:none;stroke:#6b7280;stroke-width:1.4}
.c{stroke:#b83232;stroke-dasharray:5 4}
.n{font-size:13px;font-weight:600;fill:#111827;text-anchor:middle}
.s{font-size:11px;text-anchor:middle}
.m{font-size:12px;font-weight:600;text-anchor:middle}
.g{font-size:13px;font-weight:600;fill:#111827}
.t{font-size:11px;text-anchor:end}
.l{font-size:11px;fill:#374151;text-anchor:middle}
.lc{font-size:11px;fill:#b83232;text-anchor:middle}
</style>
<defs>
<marker id="a" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 .6L7.4 4L0 7.4Z" fill="#6b7280"/></marker>
<marker id="ac" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 .6L7.4 4L0 7.4Z" fill="#b83232"/></marker>
</defs>
"##;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, MachineType, parse};

    #[test]
    fn names_are_text_and_never_markup() {
        let name = "<script>&\"'\u{7}𝄞";
        let quoted = stepwell_expr::Value::from(name).to_json();
        let text = format!(
            r#"{{"StartAt":{quoted},"States":{{{quoted}:{{"Type":"Parallel","Branches":[{{"StartAt":"B","States":{{"B":{{"Type":"Wait","Seconds":3,"End":true}}}}}}],"Catch":[{{"ErrorEquals":["<E>"],"Next":"D"}}],"End":true}},"D":{{"Type":"Succeed"}}}}}}"#
        );
        let definition = parse(&text, Format::Json, MachineType::Standard).definition.expect("valid");
        let svg = svg(&definition);
        assert!(svg.contains("&lt;script&gt;&amp;&quot;' 𝄞"), "{svg}");
        assert!(svg.contains("Wait · 3 s") && svg.contains("&lt;E&gt;"), "{svg}");
        assert!(!svg.contains("<script") && !svg.contains('\u{7}'));
        for tag in ["svg", "g", "text", "title", "marker"] {
            let opened = svg.matches(&format!("<{tag} ")).count() + svg.matches(&format!("<{tag}>")).count();
            assert_eq!(opened, svg.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn long_names_are_cut_to_fit() {
        let name = "W".repeat(80);
        let fitted = fitted(&name, NAME_SIZE, 276.0);
        assert!(fitted.ends_with('…') && text_width(&fitted, NAME_SIZE) <= 276.0, "{fitted}");
    }
}
