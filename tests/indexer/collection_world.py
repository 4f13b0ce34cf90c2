"""What the public collections hold, in a few samples of their real layouts."""

import csv
import gzip
import hashlib
import io
import json

import anndata
import numpy as np
import pandas as pd
from PIL import Image

from tests.indexer.collection_server import World

STAR = (
    "# gene-model: GENCODE v36\n"
    "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\n"
    "N_unmapped\t\t\t10\t10\t10\n"
    "ENSG00000141736.13\tERBB2\tprotein_coding\t{erbb2}\t1\t1\n"
    "ENSG00000026025.16\tVIM\tprotein_coding\t7\t3\t4\n"
)


def csv_text(rows: list[dict[str, str]]) -> bytes:
    """Rows as a csv file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def full_world(folder) -> World:
    """A few samples of every collection, in their real layouts."""
    world = World()
    world.hub = {"MahmoodLab/hest": _hest(folder), "jiawennnn/STimage-1K4M": _stimage(folder)}
    for number, case, kind in (
        (1, "TCGA-A2-A04R", "Primary Tumor"),
        (2, "TCGA-A2-A04R", "Solid Tissue Normal"),
        (3, "TCGA-BH-A18H", "Primary Tumor"),
    ):
        _add_gdc(world, f"c{number}", case, "TCGA-BRCA", kind, STAR.format(erbb2=100 * number).encode())
    picture = io.BytesIO()
    Image.new("RGB", (330, 320), (200, 100, 150)).save(picture, "TIFF", dpi=(25_400, 25_400))  # 1 um per pixel
    _add_gdc(world, "s1", "TCGA-A2-A04R", "TCGA-BRCA", "Primary Tumor", picture.getvalue(), slide="Diagnostic Slide")
    _add_gdc(world, "b1", "TCGA-A2-A04R", "TCGA-BRCA", "Primary Tumor", b"", access="controlled")
    _add_gdc(world, "p1", "C3L-00001", "CPTAC-3", "Primary Tumor", STAR.format(erbb2=5).encode())
    _add_gtex(world, picture.getvalue())
    return world


def _hest(folder) -> dict[str, bytes]:
    names = (
        "id",
        "dataset_title",
        "organ",
        "oncotree_code",
        "disease_state",
        "species",
        "patient",
        "st_technology",
        "license",
        "study_link",
        "pixel_size_um_estimated",
        "pixel_size_um_embedded",
    )
    rows = [
        (
            "TENX95",
            "Study, one",
            "Breast",
            "IDC",
            "Cancer",
            "Homo sapiens",
            "Patient 1",
            "Visium",
            "Creative Commons Attribution",
            "https://example.org",
            "2.5",
            "",
        ),
        ("TENX96", "Study two", "Breast", "", "Healthy", "Homo sapiens", "Patient 1", "Xenium", "", "", "0.5", ""),
        ("ZEN40", "Study two", "Skin", "MEL", "Cancer", "Mus musculus", "", "Visium", "", "", "", "0.2"),
    ]
    known = [dict(zip(names, row, strict=True)) for row in rows]
    table = csv_text(known)
    counts = anndata.AnnData(
        np.arange(1, 9, dtype=np.float32).reshape(4, 2),
        obs=pd.DataFrame(index=[f"BC{n}" for n in range(4)]),
        var=pd.DataFrame(index=["ERBB2", "VIM"]),
        obsm={"spatial": np.array([[50.0, 50], [90, 50], [50, 90], [90, 90]])},
    )
    counts.write_h5ad(folder / "one.h5ad")
    Image.new("RGB", (150, 140), (200, 100, 150)).save(folder / "one.tif")
    h5ad, picture = (folder / "one.h5ad").read_bytes(), (folder / "one.tif").read_bytes()
    files = {"HEST_v1_1_0.csv": b"id\nOLD1\n", "HEST_v1_2_0.csv": table, "README.md": b"# HEST\n"}
    for one in known:
        name = one["id"]
        files |= {
            f"st/{name}.h5ad": h5ad,
            f"wsis/{name}.tif": picture,
            f"metadata/{name}.json": json.dumps(one).encode(),
        }
        files[f"thumbnails/{name}_downscaled_fullres.jpeg"] = b"jpeg"
    return files


def _stimage(folder) -> dict[str, bytes]:
    names = ("slide", "species", "tissue", "pmid", "title", "involve_cancer", "tech")
    rows = [
        ("Human_Breast_A1", "human", "breast", "34650042", "T", "True", "ST"),
        ("Mouse_Brain_B1", "mouse", "brain", "31,32", "T", "False", "Visium"),
    ]
    old = csv_text([dict(zip(names, ("Old", *rows[0][1:]), strict=True))])
    files = {
        "meta/meta_all_gene.csv": old,
        "meta/meta_all_gene02122025.csv": csv_text([dict(zip(names, row, strict=True)) for row in rows]),
    }
    for tech, name in (("ST", "Human_Breast_A1"), ("Visium", "Mouse_Brain_B1")):
        counts = [f"S{n},{n + 3},4" for n in range(12)]
        places = [f"S{n},{30 + n // 4 * 40},{10 + n % 4 * 40},5" for n in range(12)]  # neighbours 40 px apart
        files[f"{tech}/gene_exp/{name}_count.csv"] = "\n".join([",ERBB2,VIM", *counts, ""]).encode()
        files[f"{tech}/coord/{name}_coord.csv"] = "\n".join([",yaxis,xaxis,r", *places, ""]).encode()
        files[f"{tech}/image/{name}.png"] = (folder / "one.tif").read_bytes()
    return files


def _add_gdc(
    world: World,
    name: str,
    case: str,
    project: str,
    kind: str,
    content: bytes,
    *,
    slide: str = "",
    access: str = "open",
) -> None:
    sample = f"{case}-{'11A' if 'Normal' in kind else '01A'}" if case.startswith("TCGA") else f"{case}-01"
    about = {
        "id": name,
        "file_id": name,
        "file_name": f"{sample}-DX1.{name}.tif" if slide else f"{name}.rna_seq.augmented_star_gene_counts.tsv",
        "file_size": len(content),
        "md5sum": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "access": access,
        "data_category": "Biospecimen" if slide else "Transcriptome Profiling",
        "data_type": "Slide Image" if slide else "Gene Expression Quantification",
        "experimental_strategy": slide or "RNA-Seq",
        "cases": [
            {
                "submitter_id": case,
                "primary_site": "Breast",
                "disease_type": "Ductal and Lobular Neoplasms",
                "project": {
                    "project_id": project,
                    "name": "Breast Invasive Carcinoma",
                    "program": {"name": project[:5].rstrip("-")},
                },
                "samples": [{"submitter_id": sample, "sample_type": kind}],
            }
        ],
    }
    if not slide:
        about["analysis"] = {"workflow_type": "STAR - Counts"}
    world.gdc.append(about)
    world.gdc_data[name] = content


def _add_gtex(world: World, picture: bytes) -> None:
    world.portal["dataset/tissueSiteDetail"] = [
        {"tissueSiteDetailId": "Whole_Blood", "tissueSiteDetail": "Whole Blood", "tissueSite": "Blood"},
        {
            "tissueSiteDetailId": "Heart_Left_Ventricle",
            "tissueSiteDetail": "Heart - Left Ventricle",
            "tissueSite": "Heart",
        },
        {"tissueSiteDetailId": "Liver", "tissueSiteDetail": "Liver", "tissueSite": "Liver"},
    ]
    world.portal["dataset/sample"] = [
        {
            "sampleId": f"GTEX-1117F-{n}-SM-5GZZ7",
            "subjectId": "GTEX-1117F",
            "dataType": kind,
            "tissueSiteDetailId": "Whole_Blood",
        }
        for n, kind in (("0226", "RNASEQ"), ("0326", "RNASEQ"), ("0003", "WGS"))
    ]
    world.portal["histology/image"] = [
        {
            "histologyImageId": f"GTEX-{donor}-0126",
            "subjectId": f"GTEX-{donor}",
            "tissueSiteDetail": tissue,
            "hide": False,
        }
        for donor, tissue in (("1117F", "Liver"), ("111CU", "Whole Blood"), ("111FC", "Liver"))
    ]
    gct = "#1.2\n2\t2\nName\tDescription\tGTEX-1117F-0226-SM-5GZZ7\tGTEX-1117F-0326-SM-5GZZ7\n"
    gct += "ENSG00000141736.13\tERBB2\t5\t6\nENSG00000026025.16\tVIM\t7\t8\n"
    name = "bulk-gex/v10/rna-seq/counts-by-tissue/gene_reads_v10_whole_blood.gct.gz"
    world.storage = {
        name: gzip.compress(gct.encode(), mtime=0),
        "GTEX-1117F-0126": picture,
        "GTEX-111FC-0126": b"<html>",
    }
