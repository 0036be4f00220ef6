/**
 * KubeVirt's hook callbacks in their three versions, which differ in what they offer only.
 *
 * PreCloudInitIso changes nothing: both of its data fields come back byte for byte.
 */
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import type { Logger } from "../lib/log.ts";
import { answer, type DomainHooks } from "./domain-hooks.ts";
import { Callbacks as CallbacksV1alpha1 } from "./gen/kubevirt/hooks/v1alpha1/callbacks_pb.js";
import { Callbacks as CallbacksV1alpha2 } from "./gen/kubevirt/hooks/v1alpha2/callbacks_pb.js";
import { Callbacks as CallbacksV1alpha3 } from "./gen/kubevirt/hooks/v1alpha3/callbacks_pb.js";

interface Domain {
  readonly domainXML: Uint8Array;
  readonly vmi: Uint8Array;
}

interface CloudInit {
  readonly cloudInitNoCloudSource: Uint8Array;
  readonly cloudInitData: Uint8Array;
}

export function addCallbacks(router: ConnectRouter, hooks: DomainHooks, log: Logger): void {
  const onDefineDomain = ({ domainXML, vmi }: Domain, context: HandlerContext) =>
    answer(log, "OnDefineDomain", context, async () => ({
      domainXML: await hooks.onDefineDomain(domainXML, vmi, context.signal),
    }));
  const preCloudInitIso = ({ cloudInitNoCloudSource, cloudInitData }: CloudInit) => ({
    cloudInitNoCloudSource,
    cloudInitData,
  });
  const shutdown = (_: unknown, context: HandlerContext) =>
    answer(log, "Shutdown", context, async () => {
      await hooks.shutdown();
      return {};
    });
  router.service(CallbacksV1alpha1, { onDefineDomain });
  router.service(CallbacksV1alpha2, { onDefineDomain, preCloudInitIso });
  router.service(CallbacksV1alpha3, { onDefineDomain, preCloudInitIso, shutdown });
}
