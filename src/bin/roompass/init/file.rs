//! Writes a file as a whole or not at all, and never over another one unless that is wanted.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::InitError;

/// Writes the text under another name first, so that the file is never half written.
///
/// # Errors
/// If the file exists, unless it may be replaced, or it can't be written.
pub(super) fn write(file: &Path, text: &str, may_replace: bool) -> Result<(), InitError> {
    let unfinished = file.with_added_extension(format!("{}.tmp", std::process::id()));
    let written = write_new(&unfinished, text).and_then(|()| {
        if may_replace {
            fs::rename(&unfinished, file)
        } else {
            // Unlike a rename, a link fails if the file was created in the meantime.
            fs::hard_link(&unfinished, file)
        }
    });
    // After a rename, there is nothing to remove.
    let _ = fs::remove_file(&unfinished);
    written.map_err(|reason| match reason.kind() {
        ErrorKind::AlreadyExists => InitError::Exists(file.to_owned()),
        _ => InitError::Unwritable { file: file.to_owned(), reason },
    })
}

fn write_new(file: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create_new(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
