//! Writes lines to a file that may fail, and loses none of them.

use super::{CdrFile, CdrFormat, csv};
use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
};

/// Lines on their way to a file.
#[derive(Default)]
pub(super) struct Backlog {
    lines: VecDeque<String>,
    /// Octets of the first line that are in the file.
    written: usize,
}

impl Backlog {
    /// One more line, its end included.
    pub(super) fn push(&mut self, line: String) {
        self.lines.push_back(line);
    }
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }
    /// Another file: a line that was begun in the old one stands whole in the new one.
    pub(super) const fn turn(&mut self) {
        self.written = 0;
    }
    /// What waits, given up.
    pub(super) fn take(&mut self) -> impl Iterator<Item = String> {
        self.written = 0;
        std::mem::take(&mut self.lines).into_iter()
    }
    /// Writes as much as the file takes; returns how many lines were finished.
    ///
    /// # Errors
    /// What the file said. The line stays, and goes on from where it stopped.
    pub(super) fn write(&mut self, file: &mut impl Write) -> (usize, io::Result<()>) {
        let mut finished = 0;
        while let Some(line) = self.lines.front() {
            let rest = line.as_bytes().get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.lines.pop_front();
                self.written = 0;
                finished += 1;
                continue;
            }
            match file.write(rest) {
                Ok(0) => return (finished, Err(io::ErrorKind::WriteZero.into())),
                Ok(length) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (finished, Err(error)),
            }
        }
        (finished, Ok(()))
    }
}

/// Opens a file to append to.
///
/// # Errors
/// What the system says.
pub(super) fn open(target: &CdrFile) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o640)
        .open(&target.path)
}

/// Ends a line that a crash left half written, and begins an empty table with its names. For who writes the file, and when it
/// writes nothing: a record that is on its way looks like a half one.
///
/// # Errors
/// What the system says; may be tried again.
pub(super) fn begin(file: &mut File, format: CdrFormat) -> io::Result<()> {
    // A pipe or a device has neither.
    if !file.metadata()?.is_file() {
        return Ok(());
    }
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    } else if format == CdrFormat::Csv {
        let names = csv::header() + "\n";
        file.write_all(names.as_bytes()).inspect_err(|_| {
            // Half of them are none: the next try begins anew.
            let _ = file.set_len(0);
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room.
    struct Disk {
        room: usize,
        holds: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let length = bytes.len().min(self.room).min(7);
            if length == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= length;
            self.holds.extend_from_slice(&bytes[..length]);
            Ok(length)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_loses_no_line_and_breaks_none() {
        let lines: Vec<_> = (0..20).map(|n| format!("{{\"call\":{n}}}\n")).collect();
        for room in 0..40 {
            let mut backlog = Backlog::default();
            lines.iter().for_each(|line| backlog.push(line.clone()));
            let mut disk = Disk {
                room,
                holds: Vec::new(),
            };
            let (finished, outcome) = backlog.write(&mut disk);
            let error = outcome.expect_err("there is no room for all");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(backlog.len(), 20 - finished);
            disk.room = usize::MAX;
            let (rest, outcome) = backlog.write(&mut disk);
            assert!(outcome.is_ok());
            assert_eq!((finished + rest, backlog.len()), (20, 0));
            assert_eq!(
                disk.holds,
                lines.concat().as_bytes(),
                "with room for {room} at first"
            );
        }
    }

    #[test]
    fn a_line_that_was_begun_elsewhere_stands_whole_in_the_next_file() {
        let mut backlog = Backlog::default();
        backlog.push("one and only\n".into());
        let mut disk = Disk {
            room: 3,
            holds: Vec::new(),
        };
        assert!(backlog.write(&mut disk).1.is_err());
        backlog.turn();
        let mut next = Vec::new();
        assert!(backlog.write(&mut next).1.is_ok());
        assert_eq!(next, b"one and only\n");
    }

    #[test]
    fn a_half_line_of_a_crash_is_ended_and_a_new_table_has_its_header() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = |name: &str, format| CdrFile {
            path: folder.path().join(name),
            format,
        };
        let begun = |target: &CdrFile| {
            let mut file = open(target).expect("writable");
            begin(&mut file, target.format).expect("there is room");
        };
        let broken = target("broken", CdrFormat::Json);
        std::fs::write(&broken.path, "{\"call\":1}\n{\"ca").expect("writable");
        begun(&broken);
        begun(&broken);
        assert_eq!(
            std::fs::read_to_string(&broken.path).expect("readable"),
            "{\"call\":1}\n{\"ca\n"
        );
        let table = target("table", CdrFormat::Csv);
        begun(&table);
        begun(&table);
        let text = std::fs::read_to_string(&table.path).expect("readable");
        assert_eq!(text, format!("{}\n", csv::header()));
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&table.path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(
            mode & 0o137,
            0,
            "{mode:o}: nobody else reads it, and no one runs it"
        );
    }
}
