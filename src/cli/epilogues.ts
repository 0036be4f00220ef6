/** What the help of each command says below its options. */

/** What stands below the options of `attach`. */
export const ATTACH_EPILOGUE = `
Environment:
  Every option is also a variable: --udp-timeout is SLIRP_UDP_TIMEOUT. An argument wins over its
  variable, an empty variable counts as absent. Flags take 1 or 0, options that may be repeated
  take several values separated by commas: SLIRP_PUBLISH=8080:80,5353:53/udp

Examples:
  A namespace by name, with the DNS address for the programs in it:
    ip netns add blue
    mkdir -p /etc/netns/blue && echo nameserver 10.0.2.3 >/etc/netns/blue/resolv.conf
    slirp-binding attach --tap tap0 --netns /run/netns/blue --configure

  A virtual machine, by a stream socket (QEMU 7.2 or later):
    slirp-binding attach --listen unix:/run/vm.sock --publish 2222:22 &
    qemu-system-x86_64 … -device virtio-net-pci,netdev=n \\
      -netdev stream,id=n,server=off,addr.type=unix,addr.path=/run/vm.sock

  The same by loopback TCP (any QEMU), for a card that cannot do large frames:
    slirp-binding attach --listen tcp:127.0.0.1:4711 --mtu 1500 &
    qemu-system-x86_64 … -device e1000,netdev=n -netdev socket,id=n,connect=127.0.0.1:4711

  Coming from slirp4netns:
    slirp4netns --configure --mtu=65520 --disable-host-loopback --ready-fd=3 PID tap0
    slirp-binding attach --tap tap0 --netns PID --configure --ready-fd 3
      (the host's loopback is out of reach unless --host-loopback, its other addresses
      are in reach unless --host-address refuse, --cidr is the same but the namespace has
      its address + 15, not + 100, IPv6 is fd10:0:2::/64, not fd00::/64, and add_hostfwd
      of the API socket is --publish)

  Coming from pasta:
    pasta --config-net --tcp-ports 8080:80 --udp-ports 5353:53 --netns /run/netns/blue
    slirp-binding attach --tap tap0 --netns /run/netns/blue --configure \\
      --publish 8080:80 --publish 5353:53/udp
      (--map-host-loopback is --host-loopback, --dns-forward is always on at the DNS address,
      and the guest has the addresses of --cidr, not the host's)`;

/** What stands below the options of `run`. */
export const RUN_EPILOGUE = `
Without a command it starts your shell ($SHELL). The command has a network namespace of its own with
the interface tap0, its own /etc/resolv.conf and a private view of mounts; files, processes, users
and the terminal are those outside. No privilege is needed where the kernel lets users make user
namespaces. Errors alone are logged unless --log-level says otherwise.

Ends with the command's code, with 128 and the number of the signal that ended it, with 127 where
there is no such command, 126 where it cannot be started, 125 where there is no network for it.
Every option is also a variable: --publish is SLIRP_PUBLISH.

Examples:
  slirp-binding run -- curl https://example.org/
  slirp-binding run --publish 127.0.0.1:8080:80 --map-root -- python3 -m http.server 80
  slirp-binding run`;

/** What stands below the options of `serve`. */
export const SERVE_EPILOGUE = `
Environment:
  Every option is also a variable: --hooks-dir is SLIRP_HOOKS_DIR. An argument wins over its
  variable, an empty variable counts as absent. There are variables alone for the image's owner:
    SLIRP_ALLOW_ANNOTATIONS=0    VMs may not choose link and MTU by annotation
    SLIRP_LOOPBACK_PORT=N        first TCP port of the link "client"
  KubeVirt sets CONTAINER_NAME, which is part of the socket's name, and
  NETWORK_BINDING_PLUGIN_NAME, the binding that is served (default slirp).

The program ends with code 0 at the Shutdown hook, at SIGINT, and at SIGTERM as soon as no guest
is attached any more.`;

/** What stands below the options of `doctor`. */
export const DOCTOR_EPILOGUE = `
Examples:
  slirp-binding doctor
  slirp-binding doctor --publish 80:80 --flows-max 4096
  slirp-binding doctor --in-guest     # a script to paste into a shell of the guest
  slirp-binding doctor --guest-report said.txt     # what it said, against what was seen of it

Ends with code 0 where nothing is wrong, with 1 where something will not work.`;

/** What stands below the options of `ui`. */
export const UI_EPILOGUE = `
Whoever has the address can do what the page can: keep it to yourself. It is good for as long as the
command runs. docs/ui.md has more.

Examples:
  slirp-binding ui
  slirp-binding ui --instance attach-4711 --listen 127.0.0.1:8000

  Of a sidecar, from a workstation:
    kubectl exec POD -c hook-sidecar-0 -- slirp-binding ui --listen 127.0.0.1:8000 &
    kubectl port-forward POD 8000`;

/** What stands below the options of `manifests`. */
export const MANIFESTS_EPILOGUE = `
Documents:
  kubevirt    the registration, a merge patch of the KubeVirt resource
  gate        the feature gate that KubeVirt 1.1 to 1.4 need, a JSON patch of the same
  resources   CPU and memory of sidecars, a merge patch of the same
  nad         the NetworkAttachmentDefinition that --sysctls names
  vm          an example of a virtual machine

Examples:
  slirp-binding manifests --image registry.example/slirp-binding:1.0 --only kubevirt >slirp.yaml
  kubectl patch kubevirt kubevirt --namespace kubevirt --type merge --patch-file slirp.yaml
  slirp-binding manifests --only vm | kubectl apply --filename -`;

/** What stands below the options of `demo`. */
export const DEMO_EPILOGUE = `
Ends with code 0 when every step held, else with 1.`;

/** What stands below the options of `replay`. */
export const REPLAY_EPILOGUE = `
A recording is made with "attach --record FILE" or "serve --record FILE". It holds the traffic of
the guest: keep it as carefully.

Ends with code 0 when all that came out of the engine is equal to what was recorded, with 1 at the
first difference, which is printed, or for a file that is damaged.`;

/** What stands below the options of `simulate`. */
export const SIMULATE_EPILOGUE = `
Without a scenario and without --seed, random seeds are run until the time is over or one fails.
Scenario files are YAML; docs/simulator.md describes their fields.

Examples:
  slirp-binding simulate
  slirp-binding simulate --seed 17 --trace
  slirp-binding simulate --family competition --seeds 100
  slirp-binding simulate --family vhost-user --seed 17
  slirp-binding simulate test/sim/scenarios/wan.yaml --report wan.html

Ends with code 0 when nothing was wrong, with 1 when something was, with 2 for a scenario that
cannot be read. A run that fails names the command that repeats it.`;

/** What stands below the options of `completion`. */
export const COMPLETION_EPILOGUE = `
Examples:
  bash, in ~/.bashrc:
    eval "$(slirp-binding completion bash)"
  zsh, in a folder of $fpath:
    slirp-binding completion zsh >~/.zsh/functions/_slirp-binding
  fish:
    slirp-binding completion fish >~/.config/fish/completions/slirp-binding.fish`;

/** What stands below the options of `man`. */
export const MAN_EPILOGUE = `
Examples:
  slirp-binding man flows | man -l -
  slirp-binding man --into /usr/local/share/man/man1`;
