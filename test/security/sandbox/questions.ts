/** Questions that more than one suite asks from inside; each ends with `answer(…)`. */

export const KERNEL = `
out = subprocess.run(['dmesg'], capture_output=True, text=True)
answer({'version': open('/proc/version').read(), 'release': os.uname().release, 'log': out.stdout})`;

export const HOST_TRACES = `
def text(path):
    try: return open(path, errors='replace').read()
    except OSError as error: return ''
places = ['/etc/machine-id', '/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/proc/self/cgroup', '/proc/mounts',
          '/proc/self/mountinfo', '/proc/self/environ', '/proc/cmdline', '/proc/1/cgroup', '/proc/1/mountinfo']
answer({'hostname': socket.gethostname(), 'uname': ' '.join(os.uname()), **{place: text(place) for place in places}})`;

/** Bytes that could be written to a new file in a folder, and why it ended. `limit` in MiB. */
export const FILL = `
def fill(folder, limit):
    path, written, piece = os.path.join(folder, 'fill'), 0, os.urandom(1 << 20)
    try:
        with open(path, 'wb', buffering=0) as file:
            while written < limit << 20: written += file.write(piece)
        reason = None
    except OSError as error: reason = errno.errorcode[error.errno]
    finally:
        try: os.unlink(path)
        except OSError: pass
    return [written, reason]
`;
