/**
 * The domain hook of a Plugin resource (KubeVirt 1.9), the successor of OnDefineDomain.
 *
 * It is called up to three times for a start and once on the target of a migration, after all older
 * hooks, so the domain may hold our interface already.
 */
import type { ConnectRouter } from "@connectrpc/connect";
import type { Logger } from "../lib/log.ts";
import { invalid, quoteTruncated } from "./domain/errors.ts";
import { answer, type DomainHooks } from "./domain-hooks.ts";
import { DomainHookService } from "./gen/kubevirt/hooks/plugins/v1alpha1/domain_hook_pb.js";

const DOMAIN_TYPE = "libvirt";

export function addPlugin(router: ConnectRouter, hooks: DomainHooks, log: Logger): void {
  router.service(DomainHookService, {
    mutateDomain: ({ domainType, domain, vmi }, context) =>
      answer(log, "MutateDomain", context, async () => {
        if (domainType !== DOMAIN_TYPE) {
          throw invalid(`domain type ${quoteTruncated(domainType)}: wanted "${DOMAIN_TYPE}"`);
        }
        return { domain: await hooks.onDefineDomain(domain, vmi, context.signal) };
      }),
  });
}
