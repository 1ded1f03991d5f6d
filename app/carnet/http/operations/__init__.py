"""Operations as they come and go: by POST, GET, event stream and socket, let in at one place."""
