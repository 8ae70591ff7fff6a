//! Places nodes in layers and routes edges between them (after Sugiyama, Tagawa and Toda).
//!
//! Edges that close a cycle are turned round; each node stands below all that lead to it; an edge over several layers
//! passes each of them at a place of its own; layers are ordered to avoid crossings, and what belongs together is
//! pulled into line. An edge with a label is at least two layers long, and its label stands in the layer next to where it comes from.

/// A place, in pixels from the upper left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: Option<Size>,
}

/// Where everything stands.
pub(super) struct Layout {
    pub(super) size: Size,
    /// The centre of each node.
    pub(super) nodes: Vec<Point>,
    pub(super) routes: Vec<Route>,
}

/// The way of one edge, from its tail to its head.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) points: Vec<Point>,
    /// The centre of its label.
    pub(super) label: Point,
}

const LAYER_GAP: f64 = 34.0;
const NODE_GAP: f64 = 34.0;
const LANE_GAP: f64 = 16.0;
const LANE_WIDTH: f64 = 6.0;
const LOOP_WIDTH: f64 = 26.0;
/// Sweeps that put layers in order, and that pull nodes into line.
const ORDER_SWEEPS: usize = 16;
const ALIGN_SWEEPS: usize = 24;
/// Places for edges that pass layers by. A graph that needs more has its long edges drawn straight.
const LANES_MAX: usize = 20_000;

/// Lays out a graph whose node `first` comes first.
pub(super) fn layout(nodes: &[Size], links: &[Link], first: usize) -> Layout {
    if nodes.is_empty() {
        return Layout { size: Size { width: 0.0, height: 0.0 }, nodes: Vec::new(), routes: Vec::new() };
    }
    let down = downward(nodes.len(), links, first);
    let ranks = ranks(nodes.len(), links, &down);
    let mut layers = Layers::new(nodes, links, &down, &ranks);
    layers.order();
    layers.align();
    layers.finish(nodes, links, &down)
}

/// For each link, its upper and lower end after cycles are broken; `None` for a link of a node to itself.
fn downward(count: usize, links: &[Link], first: usize) -> Vec<Option<(usize, usize)>> {
    let mut outgoing = vec![Vec::new(); count];
    for (at, link) in links.iter().enumerate() {
        outgoing[link.from].push(at);
    }
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; count];
    let mut down = vec![None; links.len()];
    for root in std::iter::once(first).chain(0..count) {
        if marks[root] != Mark::New {
            continue;
        }
        marks[root] = Mark::Open;
        let mut stack = vec![(root, 0)];
        while let Some((node, at)) = stack.pop() {
            let Some(link) = outgoing[node].get(at).copied() else {
                marks[node] = Mark::Done;
                continue;
            };
            stack.push((node, at + 1));
            let to = links[link].to;
            if to == node {
                continue;
            }
            down[link] = Some(if marks[to] == Mark::Open { (to, node) } else { (node, to) });
            if marks[to] == Mark::New {
                marks[to] = Mark::Open;
                stack.push((to, 0));
            }
        }
    }
    down
}

/// The layer of each node: one below the lowest node above it, two where the edge has a label.
fn ranks(count: usize, links: &[Link], down: &[Option<(usize, usize)>]) -> Vec<usize> {
    let mut above = vec![0_usize; count];
    let mut onward = vec![Vec::new(); count];
    for (link, ends) in links.iter().zip(down) {
        if let Some((upper, lower)) = *ends {
            above[lower] += 1;
            onward[upper].push((lower, if link.label.is_some() { 2 } else { 1 }));
        }
    }
    let mut ranks = vec![0; count];
    let mut ready: Vec<usize> = (0..count).filter(|node| above[*node] == 0).collect();
    while let Some(node) = ready.pop() {
        for (lower, length) in &onward[node] {
            ranks[*lower] = ranks[*lower].max(ranks[node] + length);
            above[*lower] -= 1;
            if above[*lower] == 0 {
                ready.push(*lower);
            }
        }
    }
    ranks
}

/// Something that takes room in a layer: a node, or a lane in which an edge passes.
struct Slot {
    layer: usize,
    width: f64,
    height: f64,
    is_node: bool,
    /// Centre.
    x: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

struct Layers {
    slots: Vec<Slot>,
    layers: Vec<Vec<usize>>,
    /// The slots of each link, from its upper to its lower end, both included.
    chains: Vec<Vec<usize>>,
    /// The place in its chain of the slot that has the link's label.
    labels: Vec<usize>,
}

impl Layers {
    fn new(nodes: &[Size], links: &[Link], down: &[Option<(usize, usize)>], ranks: &[usize]) -> Self {
        let node = |(at, size): (usize, &Size)| Slot::new(ranks[at], *size, true);
        let mut slots: Vec<Slot> = nodes.iter().enumerate().map(node).collect();
        let mut chains = Vec::with_capacity(links.len());
        let mut labels = Vec::with_capacity(links.len());
        for (link, ends) in links.iter().zip(down) {
            let Some((upper, lower)) = *ends else {
                chains.push(Vec::new());
                labels.push(0);
                continue;
            };
            let between = ranks[upper] + 1..ranks[lower];
            // Next to the end that the edge comes from.
            let labelled_rank =
                if upper == link.from { between.start } else { between.end.saturating_sub(1) };
            let mut chain = vec![upper];
            for rank in between {
                let labelled = link.label.filter(|_| rank == labelled_rank);
                if labelled.is_none() && slots.len() - nodes.len() > LANES_MAX {
                    continue;
                }
                slots.push(Slot::new(
                    rank,
                    labelled.unwrap_or(Size { width: LANE_WIDTH, height: 0.0 }),
                    false,
                ));
                chain.push(slots.len() - 1);
            }
            chain.push(lower);
            labels.push(chain.iter().position(|slot| slots[*slot].layer == labelled_rank).unwrap_or(0));
            chains.push(chain);
        }
        for chain in &chains {
            for pair in chain.windows(2) {
                slots[pair[0]].below.push(pair[1]);
                slots[pair[1]].above.push(pair[0]);
            }
        }
        let count = slots.iter().map(|slot| slot.layer).max().unwrap_or(0) + 1;
        let mut layers = vec![Vec::new(); count];
        for (at, slot) in slots.iter().enumerate() {
            layers[slot.layer].push(at);
        }
        Layers { slots, layers, chains, labels }
    }

    /// Orders each layer by where its neighbours stand, and keeps the order with the fewest crossings.
    fn order(&mut self) {
        let mut places = vec![0.0; self.slots.len()];
        self.note_places(&mut places);
        let mut best = (self.crossings(&places), self.layers.clone());
        for sweep in 0..ORDER_SWEEPS {
            if best.0 == 0 {
                break;
            }
            let downward = sweep % 2 == 0;
            let count = self.layers.len();
            for step in 1..count {
                let layer = if downward { step } else { count - 1 - step };
                let mut slots = std::mem::take(&mut self.layers[layer]);
                let keys: Vec<f64> = slots.iter().map(|slot| self.middle(*slot, downward, &places)).collect();
                let mut order: Vec<usize> = (0..slots.len()).collect();
                order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
                slots = order.into_iter().map(|at| slots[at]).collect();
                for (at, slot) in slots.iter().enumerate() {
                    places[*slot] = at as f64;
                }
                self.layers[layer] = slots;
            }
            let crossings = self.crossings(&places);
            if crossings < best.0 {
                best = (crossings, self.layers.clone());
            }
        }
        self.layers = best.1;
    }

    fn note_places(&self, places: &mut [f64]) {
        for layer in &self.layers {
            for (at, slot) in layer.iter().enumerate() {
                places[*slot] = at as f64;
            }
        }
    }

    /// The mean place of a slot's neighbours on one side; its own where it has none.
    fn middle(&self, slot: usize, above: bool, places: &[f64]) -> f64 {
        let slot_ = &self.slots[slot];
        let neighbours = if above { &slot_.above } else { &slot_.below };
        if neighbours.is_empty() {
            return places[slot];
        }
        neighbours.iter().map(|n| places[*n]).sum::<f64>() / neighbours.len() as f64
    }

    /// How many pairs of edges cross between neighbouring layers.
    fn crossings(&self, places: &[f64]) -> usize {
        let widest = self.layers.iter().map(Vec::len).max().unwrap_or(0);
        let mut total = 0;
        for layer in &self.layers {
            let mut counts = Counts::new(widest);
            let mut seen = 0;
            for slot in layer {
                let mut ends: Vec<usize> =
                    self.slots[*slot].below.iter().map(|n| places[*n] as usize).collect();
                ends.sort_unstable();
                for end in &ends {
                    total += seen - counts.up_to(*end);
                }
                for end in ends {
                    counts.add(end);
                    seen += 1;
                }
            }
        }
        total
    }

    /// Moves slots, in their order, as near as may be to the middle of their neighbours.
    fn align(&mut self) {
        for layer in &self.layers {
            let mut x = 0.0;
            for (at, slot) in layer.iter().enumerate() {
                if at > 0 {
                    x += self.distance(layer[at - 1], *slot);
                }
                self.slots[*slot].x = x;
            }
        }
        let count = self.layers.len();
        for sweep in 0..ALIGN_SWEEPS {
            for step in 0..count {
                let layer = if sweep % 2 == 0 { step } else { count - 1 - step };
                let both = sweep + 12 >= ALIGN_SWEEPS;
                self.align_layer(layer, both || sweep % 2 == 0, both || sweep % 2 == 1);
            }
        }
    }

    fn align_layer(&mut self, layer: usize, above: bool, below: bool) {
        let order = &self.layers[layer];
        let mut offset = 0.0;
        let mut blocks: Vec<AlignBlock> = Vec::new();
        let mut offsets = Vec::with_capacity(order.len());
        for (at, slot) in order.iter().enumerate() {
            if at > 0 {
                offset += self.distance(order[at - 1], *slot);
            }
            offsets.push(offset);
            let (wish, weight) = self.wish(*slot, above, below);
            blocks.push(AlignBlock { sum: (wish - offset) * weight, weight, count: 1 });
            // Slots that would overlap move together, to the mean of what they wish.
            while let [.., before, last] = &blocks[..] {
                if before.mean() <= last.mean() {
                    break;
                }
                let merged = AlignBlock {
                    sum: before.sum + last.sum,
                    weight: before.weight + last.weight,
                    count: before.count + last.count,
                };
                blocks.truncate(blocks.len() - 2);
                blocks.push(merged);
            }
        }
        let means = blocks.iter().flat_map(|block| std::iter::repeat_n(block.mean(), block.count));
        let places: Vec<(usize, f64)> = order
            .iter()
            .zip(means.zip(offsets))
            .map(|(slot, (mean, offset))| (*slot, mean + offset))
            .collect();
        for (slot, x) in places {
            self.slots[slot].x = x;
        }
    }

    /// Where a slot would like to be, and how much. Lanes pull hardest, so that long edges are straight.
    fn wish(&self, slot: usize, above: bool, below: bool) -> (f64, f64) {
        let this = &self.slots[slot];
        let (mut sum, mut weight) = (0.0, 0.0);
        let sides = [(above, &this.above), (below, &this.below)];
        for neighbour in sides.into_iter().filter(|(wanted, _)| *wanted).flat_map(|(_, slots)| slots) {
            let other = &self.slots[*neighbour];
            let pull = match (this.is_node, other.is_node) {
                (true, true) => 3.0,
                (false, false) => 8.0,
                _ => 1.0,
            };
            sum += other.x * pull;
            weight += pull;
        }
        if weight == 0.0 { (this.x, 0.01) } else { (sum / weight, weight) }
    }

    /// How far apart the centres of two neighbours must be.
    fn distance(&self, left: usize, right: usize) -> f64 {
        let (left, right) = (&self.slots[left], &self.slots[right]);
        let gap = if left.is_node && right.is_node { NODE_GAP } else { LANE_GAP };
        (left.width + right.width) / 2.0 + gap
    }

    fn finish(self, nodes: &[Size], links: &[Link], down: &[Option<(usize, usize)>]) -> Layout {
        let left = self.slots.iter().map(|s| s.x - s.width / 2.0).fold(f64::INFINITY, f64::min);
        let right = self.slots.iter().map(|s| s.x + s.width / 2.0).fold(f64::NEG_INFINITY, f64::max);
        let loops = if down.iter().any(Option::is_none) { LOOP_WIDTH } else { 0.0 };
        let mut tops = Vec::with_capacity(self.layers.len());
        let mut y = 0.0;
        for layer in &self.layers {
            let height = layer.iter().map(|slot| self.slots[*slot].height).fold(0.0, f64::max);
            tops.push((y, y + height));
            y += height + LAYER_GAP;
        }
        let centre = |slot: usize| {
            let (top, bottom) = tops[self.slots[slot].layer];
            Point { x: self.slots[slot].x - left, y: (top + bottom) / 2.0 }
        };
        let centres: Vec<Point> = (0..nodes.len()).map(centre).collect();
        let ports = self.ports(links.len());
        let route = |at: usize| {
            let Some((upper, lower)) = down[at] else {
                return loop_at(centres[links[at].from], nodes[links[at].from]);
            };
            let chain = &self.chains[at];
            let (out, into) = ports[at];
            let mut points = vec![Point { x: out - left, y: centres[upper].y + nodes[upper].height / 2.0 }];
            for slot in &chain[1..chain.len() - 1] {
                let (top, bottom) = tops[self.slots[*slot].layer];
                let x = self.slots[*slot].x - left;
                points.extend([Point { x, y: top }, Point { x, y: bottom }]);
            }
            points.push(Point { x: into - left, y: centres[lower].y - nodes[lower].height / 2.0 });
            if upper != links[at].from {
                points.reverse();
            }
            Route { points, label: centre(chain[self.labels[at]]) }
        };
        let routes = (0..links.len()).map(route).collect();
        let size = Size { width: right - left + loops, height: y - LAYER_GAP };
        Layout { size, nodes: centres, routes }
    }

    /// Where each link leaves its upper end and reaches its lower one: side by side, in the order of where they lead.
    fn ports(&self, count: usize) -> Vec<(f64, f64)> {
        let mut ports = vec![(0.0, 0.0); count];
        let mut leaving: Vec<Vec<usize>> = Vec::new();
        let mut arriving: Vec<Vec<usize>> = Vec::new();
        leaving.resize(self.slots.len(), Vec::new());
        arriving.resize(self.slots.len(), Vec::new());
        for (at, chain) in self.chains.iter().enumerate() {
            if let [upper, .., lower] = chain[..] {
                leaving[upper].push(at);
                arriving[lower].push(at);
            }
        }
        for (slot, mut links) in leaving.into_iter().enumerate() {
            links.sort_by(|a, b| {
                self.slots[self.chains[*a][1]].x.total_cmp(&self.slots[self.chains[*b][1]].x)
            });
            for (link, x) in links.iter().zip(self.spread(slot, links.len())) {
                ports[*link].0 = x;
            }
        }
        for (slot, mut links) in arriving.into_iter().enumerate() {
            let before = |link: &usize| self.slots[self.chains[*link][self.chains[*link].len() - 2]].x;
            links.sort_by(|a, b| before(a).total_cmp(&before(b)));
            for (link, x) in links.iter().zip(self.spread(slot, links.len())) {
                ports[*link].1 = x;
            }
        }
        ports
    }

    fn spread(&self, slot: usize, count: usize) -> impl Iterator<Item = f64> {
        let slot = &self.slots[slot];
        let step = if count > 1 { (slot.width * 0.6 / (count - 1) as f64).min(22.0) } else { 0.0 };
        let first = slot.x - step * (count.saturating_sub(1)) as f64 / 2.0;
        (0..count).map(move |at| first + step * at as f64)
    }
}

impl Slot {
    fn new(layer: usize, size: Size, is_node: bool) -> Self {
        let Size { width, height } = size;
        Slot { layer, width, height, is_node, x: 0.0, above: Vec::new(), below: Vec::new() }
    }
}

/// Slots that move together.
struct AlignBlock {
    sum: f64,
    weight: f64,
    count: usize,
}

impl AlignBlock {
    fn mean(&self) -> f64 {
        self.sum / self.weight
    }
}

/// A Fenwick tree over places.
struct Counts(Vec<usize>);

impl Counts {
    fn new(places: usize) -> Self {
        Counts(vec![0; places + 2])
    }

    fn add(&mut self, place: usize) {
        let mut at = place + 1;
        while at < self.0.len() {
            self.0[at] += 1;
            at += at & at.wrapping_neg();
        }
    }

    fn up_to(&self, place: usize) -> usize {
        let mut at = (place + 1).min(self.0.len() - 1);
        let mut total = 0;
        while at > 0 {
            total += self.0[at];
            at -= at & at.wrapping_neg();
        }
        total
    }
}

/// The way of an edge from a node to itself, at its right side.
fn loop_at(centre: Point, size: Size) -> Route {
    let x = centre.x + size.width / 2.0;
    let out = x + LOOP_WIDTH;
    let y = centre.y;
    let points = vec![
        Point { x, y: y + 9.0 },
        Point { x: out, y: y + 9.0 },
        Point { x: out, y: y - 9.0 },
        Point { x, y: y - 9.0 },
    ];
    Route { points, label: Point { x: out, y } }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Size = Size { width: 100.0, height: 40.0 };

    fn link(from: usize, to: usize) -> Link {
        Link { from, to, label: None }
    }

    #[test]
    fn nothing_overlaps_and_edges_lead_down() {
        let links = [link(0, 1), link(0, 2), link(1, 3), link(2, 3), link(0, 3), link(3, 0), link(1, 1)];
        let laid = layout(&[BOX; 4], &links, 0);
        for (a, p) in laid.nodes.iter().enumerate() {
            for q in &laid.nodes[a + 1..] {
                assert!((p.x - q.x).abs() >= 100.0 || (p.y - q.y).abs() >= 40.0, "{p:?} {q:?}");
            }
        }
        assert!(laid.nodes[0].y < laid.nodes[1].y && laid.nodes[1].y < laid.nodes[3].y);
        for (route, link) in laid.routes.iter().zip(&links).filter(|(_, link)| link.from != link.to) {
            let head = route.points.last().unwrap();
            assert!((head.x - laid.nodes[link.to].x).abs() <= 50.0);
            assert!((head.y - laid.nodes[link.to].y).abs() <= 20.0 + 1e-9);
        }
    }

    #[test]
    fn an_even_fork_is_symmetric() {
        let laid = layout(&[BOX; 3], &[link(0, 1), link(0, 2)], 0);
        let middle = (laid.nodes[1].x + laid.nodes[2].x) / 2.0;
        assert!((laid.nodes[0].x - middle).abs() < 1.0);
    }

    #[test]
    fn large_graphs_end() {
        let count = 2000;
        let links: Vec<Link> = (1..count).flat_map(|n| [link(n / 2, n), link(n, n * 7 % count)]).collect();
        let laid = layout(&vec![BOX; count], &links, 0);
        assert!(laid.size.width.is_finite() && laid.size.height.is_finite());
    }
}
