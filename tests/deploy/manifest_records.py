"""The fields of the manifests in deploy/kuberay, as records: an unknown field or a wrong type is an error.

Names and types are those of KubeRay's definitions (ray.io/v1 of its releases 1.6.2 and 1.7.0, in its folder
helm-chart/kuberay-operator/crds) and of Kubernetes' API reference (v1, batch/v1, networking.k8s.io/v1); only what the
manifests use is here.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=47)]
"""A DNS label; KubeRay allows a RayJob no more than 47 characters."""
Quantity = Annotated[str, Field(pattern=r"^\d+(m|Ki|Mi|Gi|Ti)?$")]
Labels = dict[str, str]
Count = Annotated[int, Field(ge=0)]


class Manifest(BaseModel):
    """A part of a manifest."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Manifest):
    name: Name | None = None
    generateName: Name | Annotated[str, Field(pattern=r"^[a-z][-a-z0-9]*-$")] | None = None
    labels: Labels | None = None


class KeyOfSecret(Manifest):
    name: Name
    key: str


class FromSecret(Manifest):
    secretKeyRef: KeyOfSecret


class Variable(Manifest):
    name: Annotated[str, Field(pattern=r"^[A-Z_]+$|^RAY_[a-z_]+$")]
    value: str | None = None
    valueFrom: FromSecret | None = None


class Capabilities(Manifest):
    drop: list[Literal["ALL"]]


class ContainerSecurity(Manifest):
    allowPrivilegeEscalation: Literal[False]
    readOnlyRootFilesystem: Literal[True]
    capabilities: Capabilities


class Resources(Manifest):
    requests: dict[Literal["cpu", "memory", "nvidia.com/gpu", "storage"], Quantity]
    limits: dict[Literal["cpu", "memory", "nvidia.com/gpu"], Quantity] | None = None


class Mount(Manifest):
    name: Name
    mountPath: Annotated[str, Field(pattern="^/")]


class Container(Manifest):
    name: Name
    image: Annotated[str, Field(pattern=r"^[a-z]+:[\w.-]+$")]
    command: list[str] | None = None
    securityContext: ContainerSecurity
    env: list[Variable] | None = None
    resources: Resources
    volumeMounts: list[Mount]


class SeccompProfile(Manifest):
    type: Literal["RuntimeDefault"]


class PodSecurity(Manifest):
    runAsNonRoot: Literal[True]
    runAsUser: Annotated[int, Field(gt=0)]
    fsGroup: int
    seccompProfile: SeccompProfile


class Claim(Manifest):
    claimName: Name


class ConfigMap(Manifest):
    name: Name


class EmptyFolder(Manifest):
    sizeLimit: Quantity


class Volume(Manifest):
    name: Name
    emptyDir: EmptyFolder | None = None
    persistentVolumeClaim: Claim | None = None
    configMap: ConfigMap | None = None


class Toleration(Manifest):
    key: str
    operator: Literal["Exists", "Equal"]
    effect: Literal["NoSchedule", "NoExecute", "PreferNoSchedule"]


class Pod(Manifest):
    automountServiceAccountToken: Literal[False]
    securityContext: PodSecurity
    restartPolicy: Literal["Never"] | None = None
    tolerations: list[Toleration] | None = None
    containers: Annotated[list[Container], Field(min_length=1)]
    volumes: list[Volume]


class PodTemplate(Manifest):
    metadata: Metadata | None = None
    spec: Pod


class HeadGroup(Manifest):
    rayStartParams: dict[str, str]
    template: PodTemplate


class WorkerGroup(HeadGroup):
    groupName: Name
    replicas: Count
    minReplicas: Count
    maxReplicas: Count


class AuthOptions(Manifest):
    mode: Literal["token"]


class RayCluster(Manifest):
    rayVersion: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    authOptions: AuthOptions
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup]


class RayJobSpec(Manifest):
    entrypoint: str
    submissionMode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]
    backoffLimit: Count
    preRunningDeadlineSeconds: Annotated[int, Field(ge=1)]
    suspend: bool
    shutdownAfterJobFinishes: bool
    ttlSecondsAfterFinished: Count
    runtimeEnvYAML: str
    rayClusterSpec: RayCluster


class RayJob(Manifest):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: RayJobSpec


class RayCronJobSpec(Manifest):
    schedule: str
    suspend: bool
    jobTemplate: RayJobSpec


class RayCronJob(Manifest):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayCronJob"]
    metadata: Metadata
    spec: RayCronJobSpec


class JobSpec(Manifest):
    backoffLimit: Count
    ttlSecondsAfterFinished: Count
    template: PodTemplate


class Job(Manifest):
    apiVersion: Literal["batch/v1"]
    kind: Literal["Job"]
    metadata: Metadata
    spec: JobSpec


class ClaimSpec(Manifest):
    accessModes: list[Literal["ReadWriteMany", "ReadWriteOnce", "ReadOnlyMany", "ReadWriteOncePod"]]
    resources: Resources


class PersistentVolumeClaim(Manifest):
    apiVersion: Literal["v1"]
    kind: Literal["PersistentVolumeClaim"]
    metadata: Metadata
    spec: ClaimSpec


class Selector(Manifest):
    matchLabels: Labels | None = None


class Peer(Manifest):
    podSelector: Selector
    namespaceSelector: Selector | None = None


class Port(Manifest):
    port: Annotated[int, Field(ge=1, le=65535)]


class Ingress(Manifest):
    peers: Annotated[list[Peer], Field(alias="from", min_length=1)]
    ports: list[Port] | None = None


class NetworkPolicySpec(Manifest):
    podSelector: Selector
    policyTypes: list[Literal["Ingress", "Egress"]]
    ingress: list[Ingress]


class NetworkPolicy(Manifest):
    apiVersion: Literal["networking.k8s.io/v1"]
    kind: Literal["NetworkPolicy"]
    metadata: Metadata
    spec: NetworkPolicySpec


AnyManifest = Annotated[RayJob | RayCronJob | Job | PersistentVolumeClaim | NetworkPolicy, Field(discriminator="kind")]
ANY_MANIFEST: TypeAdapter[AnyManifest] = TypeAdapter(AnyManifest)
