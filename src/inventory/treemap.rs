//! Rectangles whose areas are the sizes of what they stand for, as near to squares as can be.
//!
//! The method is the squarified treemap of Bruls, Huizing and van Wijk (2000).

/// A rectangle, in the unit of the canvas.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Rect {
    /// Its area.
    #[must_use]
    pub fn area(&self) -> f64 {
        self.width * self.height
    }
}

/// A rectangle for each of `sizes` within `canvas`, in the same order. The sizes are best given largest first; a size of
/// zero gets a rectangle without area.
#[must_use]
pub fn squarify(sizes: &[u64], canvas: Rect) -> Vec<Rect> {
    let total: u64 = sizes.iter().sum();
    if total == 0 || canvas.area() <= 0.0 {
        return sizes.iter().map(|_| Rect { width: 0.0, height: 0.0, ..canvas }).collect();
    }
    let scale = canvas.area() / total as f64;
    let areas: Vec<f64> = sizes.iter().map(|size| *size as f64 * scale).collect();
    let mut rects = Vec::with_capacity(sizes.len());
    let mut rest = canvas;
    let mut at = 0;
    while at < areas.len() {
        let side = rest.width.min(rest.height);
        let mut end = at + 1;
        while end < areas.len() && worst(&areas[at..=end], side) <= worst(&areas[at..end], side) {
            end += 1;
        }
        rest = lay(&areas[at..end], rest, &mut rects);
        at = end;
    }
    rects
}

/// The most stretched rectangle of a row, laid along a side: its longer edge by its shorter.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let largest = row.iter().copied().fold(0.0, f64::max);
    let smallest = row.iter().copied().fold(f64::MAX, f64::min);
    if sum <= 0.0 || smallest <= 0.0 || side <= 0.0 {
        return f64::MAX;
    }
    let (square, side) = (sum * sum, side * side);
    (side * largest / square).max(square / (side * smallest))
}

/// Lays a row along the shorter side; gives what is left.
fn lay(row: &[f64], rest: Rect, rects: &mut Vec<Rect>) -> Rect {
    let sum: f64 = row.iter().sum();
    let lies = rest.width >= rest.height;
    let side = rest.width.min(rest.height);
    let depth = if side > 0.0 { sum / side } else { 0.0 };
    let mut along = 0.0;
    for area in row {
        let length = if depth > 0.0 { area / depth } else { 0.0 };
        rects.push(if lies {
            Rect { x: rest.x, y: rest.y + along, width: depth, height: length }
        } else {
            Rect { x: rest.x + along, y: rest.y, width: length, height: depth }
        });
        along += length;
    }
    if lies {
        Rect { x: rest.x + depth, width: (rest.width - depth).max(0.0), ..rest }
    } else {
        Rect { y: rest.y + depth, height: (rest.height - depth).max(0.0), ..rest }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CANVAS: Rect = Rect { x: 0.0, y: 0.0, width: 600.0, height: 400.0 };

    #[test]
    fn the_papers_example_is_laid_out_as_in_the_paper() {
        let rects = squarify(&[6, 6, 4, 3, 2, 2, 1], Rect { width: 6.0, height: 4.0, ..CANVAS });
        let rounded: Vec<[f64; 2]> =
            rects.iter().map(|rect| [rect.width, rect.height].map(|side| (side * 100.0).round() / 100.0)).collect();
        let first = [[3.0, 2.0], [3.0, 2.0], [1.71, 2.33], [1.29, 2.33], [1.2, 1.67], [1.2, 1.67], [0.6, 1.67]];
        assert_eq!(rounded, first);
    }

    #[test]
    fn nothing_has_no_area() {
        assert_eq!(squarify(&[], CANVAS), []);
        assert!(squarify(&[0, 0], CANVAS).iter().all(|rect| rect.area() == 0.0));
        assert!(squarify(&[1], Rect { width: 0.0, ..CANVAS }).iter().all(|rect| rect.area() == 0.0));
    }

    proptest! {
        #[test]
        fn areas_are_sizes_and_nothing_overlaps(mut sizes in prop::collection::vec(1u64..10_000, 1..40)) {
            sizes.sort_unstable_by(|one, other| other.cmp(one));
            let rects = squarify(&sizes, CANVAS);
            let total: u64 = sizes.iter().sum();
            for (size, rect) in sizes.iter().zip(&rects) {
                let expected = *size as f64 * CANVAS.area() / total as f64;
                prop_assert!((rect.area() - expected).abs() < 1e-6 * CANVAS.area());
                prop_assert!(rect.x >= -1e-6 && rect.x + rect.width <= CANVAS.width + 1e-6);
                prop_assert!(rect.y >= -1e-6 && rect.y + rect.height <= CANVAS.height + 1e-6);
            }
            for (index, one) in rects.iter().enumerate() {
                for other in &rects[index + 1..] {
                    let apart = one.x + one.width <= other.x + 1e-6 || other.x + other.width <= one.x + 1e-6
                        || one.y + one.height <= other.y + 1e-6 || other.y + other.height <= one.y + 1e-6;
                    prop_assert!(apart, "{:?} {:?}", one, other);
                }
            }
        }
    }
}
