//! Lines that fit on a screen.

/// The label and a text behind it, on as many lines as it takes; the further ones begin where the text does.
pub(crate) fn wrapped(label: &str, text: &str) -> String {
    let start = label.chars().count();
    let mut lines = label.to_owned();
    let mut column = start;
    for word in text.split(' ') {
        let width = word.chars().count();
        if column == start {
            lines += word;
            column += width;
        } else if column + 1 + width <= WIDTH {
            lines = lines + " " + word;
            column += 1 + width;
        } else {
            lines = lines + "\n" + &" ".repeat(start) + word;
            column = start + width;
        }
    }
    lines
}

const WIDTH: usize = 110;
