"""A lab of four Mac Studios, every pair joined by a Thunderbolt 5 cable: one field after another, this is the manual.

    uv run pyinfra inventories/lab.py deploy.py --dry    # what would happen
    uv run pyinfra inventories/lab.py deploy.py          # make it so; the second time nothing changes

Copy this file, change the values, keep the shape. A mistake is told before the first connection, all of them at once.
Fields marked (default) may be left out. `None` means: not managed, Cidermill neither checks nor changes it.
"""

from operations.inventory import declare, hosts
from serving.cluster import Cluster

cluster = declare(
    Cluster,
    # The lab's name. After a deploy, `.cidermill/lab.env` beside the README holds the address and the key for clients.
    name="lab",
    # The Macs. Each needs Remote Login on, your public key in the administrator's ~/.ssh/authorized_keys, and that
    # administrator allowed to `sudo` without a password.
    machines=[
        {
            # What you call it; lower case, digits and dashes.
            "name": "studio-1",
            # Its address on the management LAN (Ethernet), not on a Thunderbolt cable. IPv4, static or reserved.
            "address": "192.168.1.11",
            # (default) How to reach it: "ssh", or "local" for the Mac you are typing on.
            "via": "ssh",
            # The administrator to log in as; None takes what your ~/.ssh/config says.
            "ssh_user": "admin",
            # A private key file; None takes your SSH agent's and your usual ones.
            "ssh_key": None,
            # A known_hosts file of its own; None takes ~/.ssh/known_hosts.
            "ssh_known_hosts_file": None,
            # What the Mac must be found to be; None accepts any. A wrong address is noticed here.
            "chip": "Apple M3 Ultra",
            "memory_gb": 512,
            # How much the GPU may wire, in MB (`iogpu.wired_limit_mb`); set again after every start. At most the memory
            # less 6 % or 8 GiB: more has crashed Macs. None leaves macOS its own limit, about three quarters.
            "wired_limit_mb": None,
        },
        {
            "name": "studio-2",
            "address": "192.168.1.12",
            "ssh_user": "admin",
            "chip": "Apple M3 Ultra",
            "memory_gb": 512,
        },
        {
            "name": "studio-3",
            "address": "192.168.1.13",
            "ssh_user": "admin",
            "chip": "Apple M3 Ultra",
            "memory_gb": 512,
        },
        {
            "name": "studio-4",
            "address": "192.168.1.14",
            "ssh_user": "admin",
            "chip": "Apple M3 Ultra",
            "memory_gb": 512,
        },
    ],
    # The Thunderbolt cables, one entry each. Which ports they are in is found by itself; on a Mac Studio leave the port
    # next to Ethernet free. Six cables join four Macs pairwise: the full mesh that transport "jaccl" needs.
    links=[
        {"between": ["studio-1", "studio-2"]},
        {"between": ["studio-1", "studio-3"]},
        {"between": ["studio-1", "studio-4"]},
        {"between": ["studio-2", "studio-3"]},
        {"between": ["studio-2", "studio-4"]},
        {"between": ["studio-3", "studio-4"]},
    ],
    # (default) What Macs with cables must show before anything on them is changed, and how the cables are used.
    thunderbolt={
        # (default) RDMA must be switched on and active on every cable; None leaves it unchecked. Switching it on is a
        # step for a person, in recoveryOS: the deploy says how for each Mac that lacks it.
        "rdma": "required",
        # (default) A slower cable is refused: one Thunderbolt 4 cable slows every token of the whole replica.
        "minimum_speed_gbps": 80,
        # (default) Reports conflict on whether the port next to Ethernet on a Mac Studio carries RDMA well: "refused"
        # leaves it free; None uses it like the others. Other Macs have no such port.
        "port_next_to_ethernet": "refused",
        # (default) Where each cable's own /30 is taken from. It must not be in use anywhere else in your network.
        "network": "10.213.0.0/24",
        # (default) After a change to a Mac's network the deploy connects to it anew and confirms. Where it cannot, the
        # Mac puts everything back by itself after this time.
        "confirm_within_seconds": 120,
    },
    # (default) What makes a server out of a desktop. What was there before is recorded on the Mac, and
    # `cidermill remove` puts it back. None instead of the whole, or of any line: not managed.
    headless={
        # False: it never sleeps, and neither do its disks; the display may. Thunderbolt cannot wake a Mac.
        "sleep": False,
        # Start again by itself when power returns.
        "restart_after_power_loss": True,
        # Restart by itself when macOS hangs.
        "restart_after_freeze": True,
        # Wake up for network access over Ethernet.
        "wake_on_network": True,
        # False: macOS neither downloads nor installs updates by itself. The Macs of a replica must change together.
        "automatic_updates": False,
        # True: Remote Login is on, and stays on after a restart.
        "remote_login": True,
        # "off": a Mac with FileVault on is refused, because after a power loss it waits for a password at its own
        # keyboard or over SSH, and serves nothing until then. "told": it is only told. Nobody switches it off for you.
        "file_vault": "told",
        # "off": the application firewall is switched off; with nobody at the screen to allow it, it silently cuts off
        # Python. "told": it is only told. The packet filter below is another one.
        "application_firewall": "told",
        # A clock that is further off than this is refused.
        "clock_within_seconds": 30,
    },
    # (default) Only the Macs of this lab reach each other's agents and ranks; everybody reaches the gateway and SSH.
    # None: macOS's packet filter is not touched.
    packet_filter={
        # Networks that reach the agents as well, to ask them how they are: the machine you type on, say.
        "also_from": [],
    },
    # What is served. One Mac fetches it from the hub or is sent it from here; the Macs hand it on to each other over
    # their cables; there it is checked, byte for byte, whenever ranks start. What any Mac has is never fetched again.
    weights=[
        {
            # The name clients ask for.
            "name": "qwen3-235b-instruct-8bit",
            # Where it comes from: either a repository on the Hugging Face Hub and a revision of it, which one of the
            # Macs fetches and so needs a way there, or "path", a directory on the machine you type on.
            "repository": "mlx-community/Qwen3-235B-A22B-Instruct-2507-8bit",
            # A commit, a tag or a branch. What it is at the first deploy stays: `.cidermill/lab.weights/` keeps the
            # commit and the SHA-256 of every file, and the hub is not asked again. A branch is followed on when you
            # remove that directory; a commit is the same for everybody who deploys.
            "revision": "main",
            # (default) None: the hub itself, or what HF_ENDPOINT says on the machine you type on. Otherwise a mirror.
            "endpoint": None,
            # (default) None: no token is shown to the hub. Otherwise where yours lies, as other secrets:
            # {"file": path} or {"environment": "HF_TOKEN"}; it goes to the Mac that fetches, for as long as it does.
            "token": None,
            # (default) In place of repository and revision: a directory in mlx-lm's own format on the machine you type
            # on, such as "/Volumes/weights/Qwen3-235B-A22B-Instruct-2507-8bit".
            "path": None,
            # (default) None: served as they are. "4bit" (or 2, 3, 5, 6, 8), "mxfp4", "mxfp8" or "nvfp4": weights of 16
            # bits are quantised by mlx-lm's own convert on the Mac with most room, once. What comes of it is known only
            # then, so that deploy ends there and says so; the next one hands it on and serves it.
            "quantise": None,
            # (default) Weights that share a scale: 32, 64 or 128. None: mlx-lm's own choice, 64.
            "quantise_group": None,
            # A question, and how its answer must begin, without any chance: a replica that says anything else is
            # not taken for ready. Ask it once by `mlx_lm.generate --temp 0` and write down what it says.
            "golden": {"question": "What is the capital of France? Answer with one word.", "answer": "Paris"},
            # (default) Other names that clients may ask for, such as those that a tool has hard-wired: letters, digits
            # and . _ : / -. A name leads to one set of weights. `[]` is none.
            "also_called": ["gpt-4o", "claude-sonnet-4-5"],
            # (default) What a million tokens cost, in whatever currency you reckon in; told to clients that ask, and
            # counted for each key. None: they are free.
            "price": {
                # Tokens of questions.
                "prompt_per_million": 0.5,
                # Tokens of answers.
                "answer_per_million": 2,
            },
        }
    ],
    # Which Macs serve which weights together. Every replica is one copy; several replicas share the load and cover for
    # each other.
    replicas=[
        {
            "name": "a",
            # In rank order. Rank 0, the first, is the one the gateway talks to. A Mac belongs to one replica at most.
            "machines": ["studio-1", "studio-2", "studio-3", "studio-4"],
            "weights": "qwen3-235b-instruct-8bit",
            # "jaccl": RDMA, every Mac cabled to every other. "jaccl-ring": RDMA, each to its two neighbours.
            # "ring": TCP over the cables, much slower. One Mac alone: leave it out. Nothing ever falls back to another.
            "transport": "jaccl",
            # "tensor": every layer split over all Macs, the faster one over RDMA. "pipeline": whole layers per Mac.
            # One Mac alone: leave it out.
            "sharding": "tensor",
            # (default) The longest prompt and answer together, in tokens.
            "context_tokens": 8192,
            # (default) Requests served at once; more wait their turn.
            "slots": 4,
            # (default) Requests that may wait for one of the slots; more are told to come again later (429).
            "queue": 64,
            # (default) How long a request may wait without being worked on, in the queue or while the replica forms
            # again after a fault. Reading a long prompt is work, however long it takes.
            "wait_seconds": 300,
            # (default) With "pipeline", how many layers each Mac holds: "even", "by memory" (in proportion to what each
            # Mac's GPU may use, as it was found), or a list of numbers in rank order.
            "pipeline_layers": "even",
            # (default) "recommended": the weights are wired into memory, as mlx-lm does. None: they are not, which is
            # slower under memory pressure and avoids a kernel panic that some Macs have with many requests at once.
            "wired_limit": "recommended",
            # (default) How long the deploy waits for it to become ready, weights loaded and golden question answered.
            "ready_within_seconds": 600,
            # (default) How often in a row its ranks are started again before it asks for a person.
            "restarts": 3,
            # (default) How long a rank may take to end before it is killed. What is killed may leave its wired memory
            # behind until the Mac restarts.
            "grace_seconds": 60,
        }
    ],
    # The one door for clients: LiteLLM, on one of the Macs, at its management address.
    gateway={
        "machine": "studio-1",
        # (default)
        "port": 4000,
        # (default) The longest request that is taken, in megabytes; the context of the weights bounds it as well.
        "body_mb": 32,
        # (default) None: plain HTTP. Otherwise a certificate and its key, and the gateway speaks HTTPS only:
        #     {"certificate": "/Users/me/lab.pem", "key": "/Users/me/lab.key", "host": "llm.example.org"}
        # "certificate" and "key" are PEM files on the machine you type on, the certificate first and then those above
        # it; the key is readable by you alone, and sent as a secret. "host" is the name that clients call the gateway
        # by, which the certificate must be for; None takes its address.
        "tls": None,
        # (default: none) Keys to hand out, beside the lab's own in `.cidermill/lab.env`, which has no limits. What is
        # added, changed or taken away here counts from the deploy on; no request under way is disturbed by it.
        "keys": [
            {
                # Whose it is. Nothing else is ever shown of a key. To change somebody's key without a gap, give it a
                # second owner ("anna-2") and take the first away when nobody uses it any more.
                "owner": "anna",
                # Where the secret lies on the machine you type on: {"file": path}, readable by you alone, or
                # {"environment": name}. At least 20 characters, by chance: `openssl rand -base64 32`. The Macs get a
                # digest of it.
                "secret": {"file": "~/.config/cidermill/anna.key"},
                # (default) What it may ask for; weights come with all their other names, and one of these alone brings
                # nothing else. Other servers that answer by name are named like weights. None: everything.
                "names": ["qwen3-235b-instruct-8bit"],
                # (default) Requests within any 60 seconds; more are told when to come again (429). None: no limit.
                "requests_per_minute": 60,
                # (default) Tokens, of prompts and answers together. An answer is counted when it is over, so a key may
                # run into debt, and waits until it is paid. None: no limit.
                "tokens_per_minute": 200_000,
                # (default) Requests under way at once, waiting ones included. None: no limit.
                "concurrent_requests": 4,
                # (default) The last day (UTC) on which it opens anything; None: it does until it is taken away.
                "expires": "2027-12-31",
            },
        ],
        # (default) Other servers of OpenAI's API that may answer clients as well: Ollama, llama.cpp's server, exo, a
        # cloud. None of them unless you name it here. What one answers says so: `x-cidermill-replica: external:NAME`.
        # {
        #     # What it is called here; clients ask for this name when it is used by name.
        #     "name": "workstation",
        #     # Where its API is, as an OpenAI client is told.
        #     "url": "http://192.168.1.40:11434/v1",
        #     # What it calls the model itself.
        #     "serves": "qwen3:30b",
        #     # (default) How it is spoken to: "openai", with streams.
        #     "kind": "openai",
        #     # (default) Its key, as the machine you type on finds it: {"file": PATH} or {"environment": NAME}. It goes
        #     # to the gateway's Mac as a file that only the service account reads. None: it asks for no key.
        #     "secret": {"environment": "WORKSTATION_KEY"},
        #     # (default) "by name": for who asks for it. "when no replica can": in place of weights none of whose
        #     # replicas is ready, or all of whose replicas turn a request away because they are full. Prompts then
        #     # leave your Macs. An answer that was begun by a replica is never handed over.
        #     "use": "when no replica can",
        #     # (default) The weights that it answers for then; by name: leave it out.
        #     "instead_of": ["qwen3-235b-instruct-8bit"],
        #     # (default) The longest prompt and answer together, as clients are told.
        #     "context_tokens": 8192,
        # },
        "external": [],
    },
    # (default) Macs of one replica must run the very same build of macOS. None: not checked.
    macos={
        # macOS must be at least this.
        "at_least": "26.3",
        # (default) None: macOS is left as it is. Otherwise the one macOS that every Mac is brought to, and never a
        # newer or an older one: a replica's Macs update and restart together, in its turn, and nothing can undo it.
        #     {
        #         # The version, and its build as in the label of `softwareupdate --list`: macOS Tahoe 26.7-25G229.
        #         "version": "26.7",
        #         "build": "25G229",
        #         # (default) An administrator of the Macs who is a volume owner with a secure token, the same on all
        #         # of them: macOS on Apple silicon installs for nobody else. "password" is where it lies on the machine
        #         # you type on, {"file": path} readable by you alone or {"environment": name}; it is read only when a
        #         # Mac is due, and goes to it over SSH, into softwareupdate's standard input. None: a Mac that is due
        #         # is refused, with what to type at it.
        #         "volume_owner": {"user": "admin", "password": {"file": "~/.config/cidermill/macs.password"}},
        #         # (default) How long download and installation may take, until the Mac restarts.
        #         "install_within_seconds": 7200,
        #         # (default) How long the restart may take, until it answers with the new build.
        #         "restart_within_seconds": 3600,
        #         # (default) How long its cables and RDMA may take from then on until they are as they were.
        #         "mended_within_seconds": 600,
        #     }
        # A Mac with FileVault on is refused: it would stop at its unlock screen.
        "update": None,
    },
    # (default) How a change reaches the replicas: one after another, each only when the one before it is proven. One
    # that is not proven goes back to what it was by itself, and those after it are left as they are.
    rolling={
        # (default) How long answers that are under way have to come to their end before their replica is changed, and
        # those at the gateway before it is. What is not at its end by then goes on at another replica with the same
        # weights; where there is none, it is held or broken off.
        "drain_seconds": 120,
        # (default) A replica that is slower than this share of what it was before the change goes back. Compared only
        # with the same weights, Macs, transport and sharding. None: any speed will do.
        "least_speed": 0.8,
    },
    # (default) What a Mac keeps, to go back to by declaring it again.
    releases={
        # (default) Releases of each daemon that were in use last, the present one among them; older ones are removed
        # with the weights and environments that no other needs, once the present one is proven.
        "kept": 3,
    },
    # (default) Python for the daemons: "managed" is fetched by uv and laid on the Macs; {"kind": "system", "path": ...}
    # uses one that is there. Apple's own /usr/bin/python3 will not do.
    python={"kind": "managed", "version": "3.12"},
    # (default) The hidden account that the daemons run as.
    account={"name": "_cidermill", "uid": 341},
    # (default) TCP ports: the agent's (management address), the rank's and, beneath the gateway, the relay's (both
    # loopback), and the first of the transport's.
    ports={"agent": 7440, "rank": 7441, "relay": 7442, "supply": 7443, "transport": 32323},
)

macs = hosts(cluster)
