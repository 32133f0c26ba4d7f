//! The control socket: a UNIX stream socket on which programs and people ask what there is, as on Flexisip's. One request for
//! each connection: `COMMAND argument…`, at most 511 bytes with or without a line end; the answer ends with the connection.
//!
//! | command | answer |
//! |---|---|
//! | `SIP_BRIDGE INFO` | providers and accounts, as JSON |

use super::styled::styled;
use crate::server::Server;
use std::{
    fs, io,
    os::unix::{fs::FileTypeExt as _, fs::PermissionsExt as _, net::UnixStream as Blocking},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Connections at one time; more wait in the kernel.
const MOST_CONNECTIONS: usize = 8;
/// How long a request may take to come, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets of a request.
const LONGEST: usize = 511;
/// Who may ask: the server's user and its group.
const MODE: u32 = 0o660;

const USAGE: &str =
    "Valid subcommands for SIP_BRIDGE:\n  INFO  displays information on the current state of the bridge.";

/// A socket that answers until it is dropped, and is gone then.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.task.abort();
        // Whoever has removed it before has done our work.
        let _ = fs::remove_file(&self.path);
    }
}

impl ControlSocket {
    /// Listens, and answers for that server. What a server that is dead has left there is taken away; a server that lives keeps
    /// its socket.
    ///
    /// # Errors
    /// When the path cannot be bound, or somebody answers there.
    pub fn start(path: &Path, server: Arc<Server>) -> io::Result<Self> {
        clear(path)?;
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        Ok(Self {
            path: path.to_owned(),
            task: tokio::spawn(accept(listener, server)),
        })
    }
}

/// Makes room at a path.
fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => match Blocking::connect(path) {
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another server answers there",
            )),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
        },
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something that is no socket is there",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver: no connection is waited for for ever"
)]
async fn accept(listener: UnixListener, server: Arc<Server>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let server = server.clone();
                tokio::spawn(async move {
                    let _ = timeout(PATIENCE, serve(stream, &server)).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: calls need them more.
                tracing::debug!("no connection for the control socket: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(mut stream: UnixStream, server: &Server) -> io::Result<()> {
    // More than is taken, so that who says too much is told so: a socket that is closed with bytes unread takes the answer with it.
    let mut request = vec![0; 8 * LONGEST];
    // There need be no line end: the first that comes is all.
    let length = stream.read(&mut request).await?;
    let answer = match request.get(..length).map(std::str::from_utf8) {
        Some(Ok(text)) if length <= LONGEST => answer(text, server.report().as_ref()),
        _ => format!("Error - A command is text of at most {LONGEST} bytes"),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// What a command is answered.
fn answer(command: &str, report: Option<&serde_json::Value>) -> String {
    let mut words = command
        .split([' ', '\n', '\r', '\0'])
        .filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default();
    match (name, words.next(), report) {
        ("SIP_BRIDGE", Some("INFO"), Some(report)) => styled(report),
        ("SIP_BRIDGE", _, Some(_)) => USAGE.to_owned(),
        (name, _, _) => {
            // What comes back may be shown on a terminal.
            format!("Error - Unknown command: {}", name.escape_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn commands_are_answered_as_flexisip_does() {
        let report = json!({"providers": []});
        let report = Some(&report);
        let info = "{\n\t\"providers\" : []\n}";
        for (command, expected) in [
            ("SIP_BRIDGE INFO", info),
            ("SIP_BRIDGE INFO\n", info),
            ("SIP_BRIDGE  INFO more", info),
            ("SIP_BRIDGE", USAGE),
            ("SIP_BRIDGE info", USAGE),
            ("REGISTRAR_DUMP", "Error - Unknown command: REGISTRAR_DUMP"),
            ("\u{1b}[2J", "Error - Unknown command: \\u{1b}[2J"),
            ("", "Error - Unknown command: "),
        ] {
            assert_eq!(answer(command, report), expected, "{command:?}");
        }
        assert_eq!(
            answer("SIP_BRIDGE INFO", None),
            "Error - Unknown command: SIP_BRIDGE"
        );
    }

    #[test]
    fn what_a_dead_server_left_is_taken_away_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        clear(&path).expect("nothing there");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        assert_eq!(clear(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        clear(&path).expect("nobody listens");
        assert!(!path.exists());
        fs::write(&path, "precious").expect("a file");
        assert!(clear(&path).is_err());
        assert!(path.exists());
    }
}
