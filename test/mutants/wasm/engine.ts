/**
 * The engine and its test modules as `scripts/build.mjs --mutants` makes them, and every change
 * that can be made to the engine. A function stands in several modules, compiled with assertions or
 * without, with SIMD or without; a change of the source is made in all of them.
 */
import { readFileSync } from "node:fs";
import { SourceMap, type SourceMapPayload } from "node:module";
import { join } from "node:path";
import { lineOf, lines, type Mutation } from "../mutations.ts";
import type { Change } from "../sample.ts";
import { literalOf, type SyntaxNode } from "../syntax.ts";
import { OP, patchModule, readModule, type WasmFunction, type WasmModule } from "./binary.ts";
import { Body, constant, type Edit } from "./body.ts";
import { type BinarySite, entryAt, Source } from "./mutations.ts";

const PLAIN = "build/plain";
const ENGINE = "engine";
const SCALAR = "wire-scalar";
const TEST_MODULES = ["base", "datagram", "local", "wire", "wire6"];
/** Where tests look for each. The one without SIMD stands in for all where nothing differs. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  [ENGINE]: ["dist/engine.wasm", "dist/engine-scalar.wasm", "build/test/engine-checked.wasm"],
  [SCALAR]: [`build/test/${SCALAR}.wasm`],
  wire: ["build/test/wire.wasm"],
  ...Object.fromEntries(
    TEST_MODULES.filter((name) => name !== "wire").map((name) => [
      name,
      [`build/test/${name}.wasm`, `build/test/${name}-scalar.wasm`],
    ]),
  ),
};
/** The contract that TypeScript reads as well, and what nothing but itself could judge. */
const LEFT_OUT = /^wasm\/(?:abi|errno|trap|audit|(?:\w+\/)?invariants)\.ts$/;
const AUDIT = /Audit$/;

/** A change of the source, and of the function that has become of it. */
interface Found {
  readonly source: Source;
  readonly fn: WasmFunction;
  readonly site: BinarySite;
}

/** What tells one change of a function from all others of it. */
function keyOf({ kind, start, end, text }: Mutation): string {
  return `${start} ${end} ${kind} ${text}`;
}

class Built {
  readonly name: string;
  readonly module: WasmModule;
  readonly #map: SourceMap;
  readonly #functions: ReadonlyMap<string, WasmFunction>;
  readonly #edits = new Map<string, ReadonlyMap<string, Edit>>();

  constructor(root: string, name: string) {
    const path = join(root, PLAIN, `${name}.wasm`);
    this.name = name;
    this.module = readModule(readFileSync(path));
    this.#map = new SourceMap(JSON.parse(readFileSync(`${path}.map`, "utf8")) as SourceMapPayload);
    this.#functions = new Map(this.module.functions.map((fn) => [fn.name, fn]));
  }

  has(name: string): boolean {
    return this.#functions.has(name);
  }

  /** The file of a function; undefined where nothing of it is written, as for accessors. */
  fileOf({ name, instructions }: WasmFunction): string | undefined {
    if (!name.startsWith("wasm/") || AUDIT.test(name)) return undefined;
    const files = instructions.map(({ start }) => entryAt(this.#map, start).originalSource);
    return files.find((file) => file?.startsWith("wasm/"));
  }

  sitesOf(fn: WasmFunction, source: Source): BinarySite[] {
    const offsets = fn.instructions.map(({ start }) => source.offsetIn(this.#map, start));
    return source.sitesOf(new Body(this.module, fn, offsets));
  }

  /** The module with the change, if it has what changes. */
  change(name: string, source: Source, mutation: Mutation): Uint8Array {
    const fn = this.#functions.get(name);
    if (fn === undefined) return this.module.octets;
    const edits = this.#edits.get(name) ?? editsOf(this.sitesOf(fn, source));
    this.#edits.set(name, edits);
    const edit = edits.get(keyOf(mutation));
    return edit === undefined
      ? this.module.octets
      : patchModule(this.module, edit(fn, this.module.octets), fn.body);
  }

  changeGlobal(name: string, octets: readonly number[]): Uint8Array {
    const init = this.module.globals.find((global) => global.name === name)?.init;
    if (init === undefined) return this.module.octets;
    return patchModule(this.module, [{ start: init.start, end: init.end, octets }], undefined);
  }
}

function editsOf(sites: readonly BinarySite[]): Map<string, Edit> {
  return new Map(sites.flat().map((mutation) => [keyOf(mutation), mutation.edit]));
}

/** One change of the engine, not made yet. */
export interface WasmMutant extends Change {
  /** The modules with the change, by the path where tests load them. */
  readonly modules: () => Map<string, Uint8Array>;
}

/** What can be changed at one place, and how it is reported. */
export interface WasmSite {
  readonly mutants: readonly WasmMutant[];
}

function named({ name }: WasmFunction, mutation: Mutation): string {
  return `${name} ${keyOf(mutation)}`;
}

function mutantOf(
  source: Source,
  mutation: Mutation,
  modules: () => Map<string, Uint8Array>,
): WasmMutant {
  const { file, text } = source;
  const [, folder = "", ...below] = file.split("/");
  return {
    file,
    folder: below.length > 0 ? folder : "wasm",
    line: lineOf(text, mutation.start),
    kind: mutation.kind,
    ...lines(text, mutation),
    modules,
  };
}

export class PlainEngine {
  readonly #root: string;
  readonly #built: readonly Built[];
  readonly #sources = new Map<string, Source>();

  /** @param root where `build/plain` and the sources are */
  constructor(root: string) {
    this.#root = root;
    this.#built = [ENGINE, ...TEST_MODULES, SCALAR].map((name) => new Built(root, name));
  }

  /** All modules as they are, by the path where tests load them. */
  unchanged(): Map<string, Uint8Array> {
    return this.#modules(({ module }) => module.octets);
  }

  #modules(octetsOf: (built: Built) => Uint8Array): Map<string, Uint8Array> {
    return new Map(
      this.#built.flatMap((built) => {
        const octets = octetsOf(built);
        return (PLACES[built.name] ?? []).map((place) => [place, octets] as const);
      }),
    );
  }

  #source(file: string): Source {
    const known = this.#sources.get(file);
    if (known !== undefined) return known;
    const source = new Source(file, readFileSync(join(this.#root, file), "utf8"));
    this.#sources.set(file, source);
    return source;
  }

  /** Every place of the files that `isWanted` takes: what is said once, and that without SIMD. */
  sites(isWanted: (file: string) => boolean): WasmSite[] {
    const isOurs = (file: string): boolean => !LEFT_OUT.test(file) && isWanted(file);
    const [engine, ...others] = this.#built;
    const scalar = others.find(({ name }) => name === SCALAR);
    if (engine === undefined || scalar === undefined) return [];
    const found = this.#found(engine, isOurs);
    const known = new Set(found.flatMap(({ fn, site }) => site.map((each) => named(fn, each))));
    const more = this.#found(scalar, isOurs).filter(({ fn, site }) => {
      return engine.has(fn.name) && !site.some((each) => known.has(named(fn, each)));
    });
    return [
      ...this.#constants(engine, isOurs),
      ...[...found, ...more].map((each) => this.#site(each)),
    ];
  }

  #found(built: Built, isOurs: (file: string) => boolean): Found[] {
    return built.module.functions.flatMap((fn) => {
      const file = built.fileOf(fn);
      if (file === undefined || !isOurs(file)) return [];
      const source = this.#source(file);
      return built.sitesOf(fn, source).map((site) => ({ source, fn, site }));
    });
  }

  #site({ source, fn, site }: Found): WasmSite {
    const mutants = site.map((mutation) =>
      mutantOf(source, mutation, () =>
        this.#modules((built) => built.change(fn.name, source, mutation)),
      ),
    );
    return { mutants };
  }

  /** Constants with a number of their own, one up and one down. */
  #constants({ module }: Built, isOurs: (file: string) => boolean): WasmSite[] {
    const read = globalsRead(module);
    return module.globals.flatMap(({ name, init }, index) => {
      if (!read.has(index)) return []; // only other constants were made of it
      const file = `${name.slice(0, name.lastIndexOf("/"))}.ts`;
      if (!file.startsWith("wasm/") || !isOurs(file)) return [];
      const source = this.#source(file);
      const node = source.constants.get(name.slice(name.lastIndexOf("/") + 1));
      return node === undefined ? [] : this.#constantSite(source, node, name, init);
    });
  }

  #constantSite(
    source: Source,
    node: SyntaxNode,
    name: string,
    { op, value }: { readonly op: number; readonly value: bigint },
  ): WasmSite[] {
    if (op !== OP.i32Const && op !== OP.i64Const) return [];
    const width = op === OP.i32Const ? 32 : 64;
    const mutants = [1n, -1n].map((step) => {
      const text = String(BigInt(Number(literalOf(node))) + step);
      const mutation = { kind: "number", start: node.start, end: node.end, text };
      const octets = constant(op, BigInt.asIntN(width, value + step));
      return mutantOf(source, mutation, () =>
        this.#modules((built) => built.changeGlobal(name, octets)),
      );
    });
    return [{ mutants }];
  }
}

/** Indices of the globals that a function reads. */
function globalsRead({ functions }: WasmModule): Set<number> {
  const read = functions.flatMap(({ instructions }) =>
    instructions.filter(({ op }) => op === OP.globalGet).map(({ value }) => Number(value)),
  );
  return new Set(read);
}
