//! The drivers: tasks, sockets, clocks.
