using UnityEngine;

namespace C2R.Samples
{
    /// <summary>
    /// A low-poly street of Unity's primitives: put it on an empty object and press Play. It builds
    /// houses, trees, cars and people from a seed, a camera that follows one of them, and a
    /// <see cref="C2RRenderer"/> on that camera.
    /// </summary>
    public sealed class StreetBuilder : MonoBehaviour
    {
        private const int Houses = 14;
        private const float Plot = 11f;
        private const float RoadHalf = 4f;
        private const float PavementHalf = 7f;

        [SerializeField]
        [Tooltip("Another seed, another street")]
        private int seed = 1;

        [SerializeField]
        private int people = 10;

        [SerializeField]
        private int cars = 4;

        private StreetMaterials _materials;

        /// <summary>Metres from one end to the other.</summary>
        public static float Length
        {
            get { return Houses * Plot / 2; }
        }

        private void Awake()
        {
            Random.InitState(seed);
            _materials = new StreetMaterials();
            BuildGround();
            for (int i = 0; i < Houses; i++) BuildHouse(i);
            for (int i = 0; i < cars; i++) BuildCar(i);
            Transform first = null;
            for (int i = 0; i < people; i++)
            {
                Transform person = BuildPerson(i);
                if (first == null) first = person;
            }
            BuildSun();
            BuildCamera(first);
        }

        private void OnDestroy()
        {
            _materials.Dispose();
        }

        private void BuildGround()
        {
            float middle = Length / 2;
            Box("grass", new Vector3(0, -0.15f, middle), new Vector3(120, 0.1f, Length + 60), _materials.Grass);
            Box("road", new Vector3(0, -0.05f, middle), new Vector3(2 * RoadHalf, 0.1f, Length + 60), _materials.Road);
            for (int side = -1; side <= 1; side += 2)
            {
                float x = side * (RoadHalf + PavementHalf) / 2;
                var size = new Vector3(PavementHalf - RoadHalf, 0.24f, Length + 60);
                Box("pavement", new Vector3(x, 0f, middle), size, _materials.Pavement);
            }
            for (float z = 0; z < Length; z += 6)
                Box("line", new Vector3(0, 0.01f, z), new Vector3(0.2f, 0.02f, 2.5f), _materials.Line);
        }

        private void BuildHouse(int index)
        {
            int side = index % 2 == 0 ? -1 : 1;
            float z = index / 2 * Plot + Plot / 2, height = Random.Range(5f, 13f);
            var at = new Vector3(side * (PavementHalf + 5f), height / 2, z);
            Box("house", at, new Vector3(9, height, Plot - 1.5f), _materials.Wall(index));
            Box("roof", at + Vector3.up * (height / 2 + 0.3f), new Vector3(9.6f, 0.6f, Plot - 0.9f), _materials.Roof);
            float face = side * (PavementHalf + 0.45f);
            for (float y = 1.6f; y < height - 1f; y += 2.8f)
            {
                for (int k = -1; k <= 1; k++)
                {
                    var window = new Vector3(face, y, z + k * 2.8f);
                    Box("window", window, new Vector3(0.15f, 1.4f, 1.2f), _materials.Glass);
                }
            }
            BuildTree(new Vector3(side * (PavementHalf - 0.6f), 0, z + Plot / 2));
        }

        private void BuildTree(Vector3 at)
        {
            Shape(PrimitiveType.Cylinder, "trunk", at + Vector3.up * 1.2f, new Vector3(0.3f, 1.2f, 0.3f), _materials.Trunk);
            Shape(PrimitiveType.Sphere, "crown", at + Vector3.up * 3.2f, new Vector3(2.2f, 2.4f, 2.2f), _materials.Leaves);
        }

        private void BuildCar(int index)
        {
            int side = index % 2 == 0 ? -1 : 1;
            var car = new GameObject("car " + index);
            car.transform.SetParent(transform, false);
            car.transform.localPosition = new Vector3(side * 2f, 0.1f, Random.Range(0f, Length));
            Part(car, PrimitiveType.Cube, new Vector3(0, 0.6f, 0), new Vector3(1.7f, 0.7f, 4f), _materials.Wall(index + 3));
            Part(car, PrimitiveType.Cube, new Vector3(0, 1.2f, -0.2f), new Vector3(1.5f, 0.6f, 2f), _materials.Glass);
            car.AddComponent<Mover>().Begin(-side * 7f, Length, 0f);
        }

        private Transform BuildPerson(int index)
        {
            int side = index % 2 == 0 ? -1 : 1;
            var person = new GameObject("person " + index);
            person.transform.SetParent(transform, false);
            float x = side * (RoadHalf + 1.5f);
            person.transform.localPosition = new Vector3(x, 0.12f, Random.Range(0f, Length));
            Part(person, PrimitiveType.Capsule, new Vector3(0, 0.95f, 0), new Vector3(0.5f, 0.5f, 0.35f), _materials.Wall(index));
            Part(person, PrimitiveType.Sphere, new Vector3(0, 1.65f, 0), new Vector3(0.3f, 0.3f, 0.3f), _materials.Skin);
            for (int leg = -1; leg <= 1; leg += 2)
                Part(person, PrimitiveType.Cube, new Vector3(leg * 0.12f, 0.35f, 0), new Vector3(0.16f, 0.7f, 0.2f),
                    _materials.Roof);
            person.AddComponent<Mover>().Begin((index % 4 < 2 ? 1 : -1) * 1.3f, Length, 0.04f);
            return person.transform;
        }

        private void BuildSun()
        {
            var sun = new GameObject("sun", typeof(Light));
            sun.transform.SetParent(transform, false);
            sun.transform.rotation = Quaternion.Euler(50f, -35f, 0f);
            var light = sun.GetComponent<Light>();
            light.type = LightType.Directional;
            light.intensity = 1.1f;
            light.shadows = LightShadows.Soft;
        }

        private void BuildCamera(Transform followed)
        {
            Camera camera = Camera.main;
            GameObject holder = camera != null ? camera.gameObject : new GameObject("camera", typeof(Camera));
            holder.tag = "MainCamera";
            holder.GetComponent<Camera>().farClipPlane = 250f;
            holder.AddComponent<StreetCamera>().Follow(followed);
            if (holder.GetComponent<C2RRenderer>() == null) holder.AddComponent<C2RRenderer>();
            holder.AddComponent<StreetHud>();
        }

        private void Box(string name, Vector3 at, Vector3 size, Material material)
        {
            Shape(PrimitiveType.Cube, name, at, size, material);
        }

        private void Shape(PrimitiveType type, string name, Vector3 at, Vector3 size, Material material)
        {
            Part(gameObject, type, at, size, material).name = name;
        }

        private static GameObject Part(GameObject of, PrimitiveType type, Vector3 at, Vector3 size, Material material)
        {
            GameObject part = GameObject.CreatePrimitive(type);
            part.transform.SetParent(of.transform, false);
            part.transform.localPosition = at;
            part.transform.localScale = size;
            part.GetComponent<Renderer>().sharedMaterial = material;
            Destroy(part.GetComponent<Collider>());
            return part;
        }
    }
}
